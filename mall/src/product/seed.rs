//! The curriculum's five products, written once into an empty service.

use events::Cause;
use events::store::Tx;

use super::handlers::publish;
use super::model::{Choice, Policy, Product};
use super::store;

/// One product; ids count from 1, and price and stock follow the id.
struct Seed {
    name: &'static str,
    policy: Policy,
    choices: &'static [Variant],
}

/// One way to have it.
struct Variant {
    name: &'static str,
    option_name: &'static str,
    desc: &'static str,
}

const SEEDS: [Seed; 5] = [
    Seed {
        name: "TV",
        policy: Policy::Cancel,
        choices: &[
            Variant { name: "size", option_name: "55", desc: "55 in" },
            Variant { name: "size", option_name: "65", desc: "65 in" },
        ],
    },
    Seed { name: "MASK", policy: Policy::Cancel, choices: &[] },
    Seed {
        name: "NOTEBOOK",
        policy: Policy::Cancel,
        choices: &[
            Variant { name: "memory", option_name: "16", desc: "16 GB" },
            Variant { name: "memory", option_name: "32", desc: "32 GB" },
        ],
    },
    Seed { name: "TABLE", policy: Policy::Reject, choices: &[] },
    Seed { name: "CLOCK", policy: Policy::Cancel, choices: &[] },
];

const PRICE_STEP: u64 = 10_000;
const STOCK_STEP: u64 = 10;

/// Writes the seeds where that was never done; whether it was done now.
pub(super) async fn sow(tx: &mut Tx<'_>) -> Result<bool, events::Error> {
    if !store::claim_seeding(tx).await? {
        return Ok(false);
    }
    for (number, Seed { name, policy, choices }) in (1..).zip(SEEDS) {
        let mut product = Product {
            id: 0,
            name: name.to_owned(),
            price: number * PRICE_STEP,
            stock: number * STOCK_STEP,
            image_url: format!("/goods/img/{name}"),
            options: choices_of(choices),
            policy,
            version: 1,
            deleted: false,
        };
        product.id = store::insert(tx, &product).await?;
        publish(tx, &product, &Cause::default()).await?;
    }
    Ok(true)
}

fn choices_of(choices: &[Variant]) -> Vec<Choice> {
    (1..)
        .zip(choices)
        .map(|(id, variant)| Choice {
            id,
            name: variant.name.to_owned(),
            option_name: variant.option_name.to_owned(),
            desc: variant.desc.to_owned(),
        })
        .collect()
}
