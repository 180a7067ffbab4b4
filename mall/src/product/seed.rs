//! The curriculum's five products, written once into an empty service.

use events::Cause;
use events::store::sqlite::Write;

use super::article::{Article, Choice, Policy};
use super::handlers::publish;
use super::store::sqlite;

/// Name, name of the choice and description.
type Variant = (&'static str, &'static str, &'static str);

/// Name, policy and choices; ids count from 1, and price and stock follow the id.
const SEEDS: [(&str, Policy, &[Variant]); 5] = [
    ("TV", Policy::Cancel, &[("size", "55", "55 in"), ("size", "65", "65 in")]),
    ("MASK", Policy::Cancel, &[]),
    ("NOTEBOOK", Policy::Cancel, &[("memory", "16", "16 GB"), ("memory", "32", "32 GB")]),
    ("TABLE", Policy::Reject, &[]),
    ("CLOCK", Policy::Cancel, &[]),
];

const PRICE_STEP: u64 = 10_000;
const STOCK_STEP: u64 = 10;

/// Writes the seeds where that was never done; whether it was done now.
pub(super) fn sow(write: &mut Write<'_>) -> Result<bool, events::Error> {
    if !sqlite::claim_seeding(write.sql())? {
        return Ok(false);
    }
    for (place, (name, policy, choices)) in (1..).zip(SEEDS) {
        let mut article = Article {
            id: 0,
            name: name.to_owned(),
            price: place * PRICE_STEP,
            stock: place * STOCK_STEP,
            image_url: format!("/goods/img/{name}"),
            options: choices_of(choices),
            policy,
            version: 1,
            deleted: false,
        };
        article.id = sqlite::insert(write.sql(), &article)?;
        publish(write, &article, &Cause::default())?;
    }
    Ok(true)
}

fn choices_of(choices: &[Variant]) -> Vec<Choice> {
    (1..)
        .zip(choices)
        .map(|(id, (name, option_name, desc))| Choice {
            id,
            name: (*name).to_owned(),
            option_name: (*option_name).to_owned(),
            desc: (*desc).to_owned(),
        })
        .collect()
}
