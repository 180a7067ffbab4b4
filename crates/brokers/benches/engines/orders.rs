//! A whole order: the replica of a product is read, the order is inserted, and its event is published.
//!
//! Beside it the same transaction whose event goes into a table of the same columns with a plain count, so that
//! what differs is the numbering in commit order: lock, sequence and what waits for them. Both take turns, and
//! the ratio is of times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::store::{Database, Tx};
use events::{Cause, Draft, Error, Partitions};

use crate::postgres::{self, Server};
use crate::{connect, median, now, report};

/// Customers who order at a time, each on a connection of its own.
pub(crate) const CLIENTS: u32 = 32;
/// Partitions that are tried, and in how many each of the two takes its turn.
const ARMS: [(u16, usize); 3] = [(1, 3), (8, 3), (32, 3)];
/// How long commits wait for others, as on a disk whose sync takes so long, and the name of that.
const DELAYS_US: [(u32, &str); 2] = [(2_000, "sync_2_ms"), (5_000, "sync_5_ms")];
/// Turns of an arm whose commits are delayed, or have an event for each partition.
const MORE_TURNS: usize = 3;
/// Turns in all, of both: what the seconds are shared by. Of each schema the first of both is not counted: its connections
/// are opened then, and what each keeps ready is made.
const TURNS: usize = 2 * (3 * (3 + 1) + (MORE_TURNS + 1) * (DELAYS_US.len() + 1));

const SCHEMA: &[&str] =
    &["CREATE TABLE product (id BIGINT PRIMARY KEY, name TEXT NOT NULL, price BIGINT NOT NULL);
    INSERT INTO product SELECT id, 'product ' || id, id * 100 FROM generate_series(1, 100) id;
    CREATE TABLE placed (id BIGINT PRIMARY KEY, product BIGINT NOT NULL, quantity BIGINT NOT NULL,
        total BIGINT NOT NULL);
    CREATE TABLE unnumbered (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id UUID NOT NULL DEFAULT gen_random_uuid() UNIQUE, key TEXT NOT NULL, type TEXT NOT NULL,
        subject TEXT NOT NULL, sequence BIGINT NOT NULL, time TIMESTAMPTZ NOT NULL DEFAULT now(),
        data TEXT NOT NULL);"];

/// How an order's events are put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    Numbered,
    Unnumbered,
}

/// An order, and how many events it has.
#[derive(Clone, Copy, Debug)]
struct Order {
    arm: Arm,
    id: u64,
    events: u64,
}

pub(crate) async fn measure(
    server: &Server,
    time: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let turn = time / TURNS as u32;
    let orders = Arc::new(AtomicU64::new(0));
    for (partitions, turns) in ARMS {
        let database = fresh(server, &format!("arm_{partitions}"), partitions).await?;
        compare(&partitions.to_string(), &database, &orders, 1, turn, turns).await?;
        database.close().await;
    }
    let database = fresh(server, "every", 8).await?;
    compare("8_to_each", &database, &orders, 8, turn, MORE_TURNS).await?;
    database.close().await;
    for (micros, name) in DELAYS_US {
        delay(server, micros)?;
        let database = fresh(server, &format!("delay_{micros}"), 8).await?;
        compare(&format!("8_{name}"), &database, &orders, 1, turn, MORE_TURNS).await?;
        database.close().await;
    }
    delay(server, 0)?;
    Ok(())
}

async fn fresh(server: &Server, name: &str, partitions: u16) -> Result<Database, Error> {
    connect(server, name, SCHEMA, Some(Partitions::new(partitions)?)).await
}

/// Has every commit wait so long before its sync.
fn delay(server: &Server, micros: u32) -> Result<(), String> {
    for statement in [
        format!("ALTER SYSTEM SET commit_delay = {micros}"),
        "ALTER SYSTEM SET commit_siblings = 0".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        postgres::sql(&server.address(), &statement)?;
    }
    Ok(())
}

/// Both arms in turns: what each does a second, and how much longer a numbered order takes.
async fn compare(
    what: &str,
    database: &Database,
    orders: &Arc<AtomicU64>,
    events: u64,
    turn: Duration,
    turns: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut numbered, mut unnumbered) = (Vec::new(), Vec::new());
    for arm in [Arm::Numbered, Arm::Unnumbered] {
        per_second(database, orders, arm, events, turn).await?;
    }
    for _ in 0..turns {
        // Each beside its neighbour in time, so that what the machine does else meets both.
        numbered.push(per_second(database, orders, Arm::Numbered, events, turn).await?);
        unnumbered.push(per_second(database, orders, Arm::Unnumbered, events, turn).await?);
    }
    let ratios = numbered.iter().zip(&unnumbered).map(|(ours, theirs)| theirs / ours).collect();
    report("yeoul", &format!("orders_{what}"), median(numbered), "1/s")?;
    report("unnumbered", &format!("orders_{what}"), median(unnumbered), "1/s")?;
    report("ratio", &format!("numbering_{what}"), median(ratios), "x")?;
    Ok(())
}

async fn per_second(
    database: &Database,
    orders: &Arc<AtomicU64>,
    arm: Arm,
    events: u64,
    turn: Duration,
) -> Result<f64, Error> {
    let began = now();
    let until = began + turn;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (database, orders) = (database.clone(), Arc::clone(orders));
        tasks.spawn(async move {
            let mut placed = 0_u64;
            while now() < until {
                let id = orders.fetch_add(1, Ordering::Relaxed);
                let order = Order { arm, id, events };
                database.write(order, |order, tx| Box::pin(place(tx, *order))).await?;
                placed += 1;
            }
            Ok::<u64, Error>(placed)
        });
    }
    let placed = tasks.join_all().await.into_iter().sum::<Result<u64, Error>>()?;
    Ok(placed as f64 / began.elapsed().as_secs_f64())
}

async fn place(tx: &mut Tx<'_>, order: Order) -> Result<(), Error> {
    let Order { arm, id, events } = order;
    let product = id as i64 % 100 + 1;
    let price = "SELECT price FROM product WHERE id = ?1";
    let price: i64 = tx.one(price, &[&product], |row| row.get(0)).await?;
    let insert = "INSERT INTO placed (id, product, quantity, total) VALUES (?1, ?2, 2, ?3)";
    tx.execute(insert, &[&(id as i64), &product, &(2 * price)]).await?;
    let data = serde_json::json!({ "orderId": id, "productId": product, "quantity": 2, "price": price,
        "customerId": "1@uengine.org", "customerAddr": "1 Yeoul Street, Seoul", "productName": "TV" });
    for event in 0..events {
        let subject = (id * events + event).to_string();
        match arm {
            Arm::Numbered => {
                let draft = Draft::new("OrderPlaced", &subject, 1, &data, &Cause::default());
                tx.publish(draft).await?;
            }
            Arm::Unnumbered => {
                let insert = "INSERT INTO unnumbered (key, type, subject, sequence, data)
                    VALUES (?1, 'OrderPlaced', ?1, 1, ?2)";
                tx.execute(insert, &[&subject, &data.to_string()]).await?;
            }
        }
    }
    Ok(())
}
