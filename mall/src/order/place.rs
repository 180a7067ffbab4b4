//! Taking an order: what is asked first, and the one transaction that takes it.
//!
//! 1. **The key.** A command under an `Idempotency-Key` is claimed while it runs (a second one is 409)
//!    and looked up: one that was answered before is answered alike, and nothing below happens.
//! 2. **The product.** The replica decides whether product has to be asked; everything that can
//!    refuse (404, 412, 409 or 503 of the stock check, another price, in this order) does so now, while nothing of the
//!    order is written. What product said of its stock is kept even where the order ends by it.
//! 3. **The transaction.** The order, its OrderPlaced, its deadline where it has one, the remembered answer and what product
//!    answered are written together, or none of them. The key is looked up again in it: whoever
//!    asked twice around a restart or a dropped connection finds the first answer here.
//!
//! When this ends the order is PENDING. It reserves no stock, and what was offered may be outdated by then: product's event
//! alone settles it ([`decide`](super::decide)).

use chassis::http::{Problem, Response};
use events::store::Tx;
use events::{Cause, Database};
use http::StatusCode;

use super::command::Command;
use super::deadline::Deadlines;
use super::decide::{Beginning, begin, is_refused};
use super::handlers::publish;
use super::model::{Order, Replica};
use super::stock_check::{Availability, StockCheck};
use super::store;
use super::wire::OrderBody;
use crate::answers::Wrote;
use crate::components::Components;
use crate::condition::Conditions;
use crate::edge::{Call, Refusal};
use crate::idempotency::{self, Answered, Lookup, Once, Remembered, Running};
use crate::settings::Name;

/// What orders are taken with.
pub(super) struct Intake {
    pub(super) database: Database,
    running: Running,
    stock_check: StockCheck,
    /// Where orders have one.
    deadlines: Option<Deadlines>,
}

/// One request for an order.
pub(super) struct Request<'r> {
    pub(super) call: &'r Call,
    pub(super) command: Command,
    pub(super) conditions: Conditions,
    /// The body that the command was read from: what an `Idempotency-Key` is good for.
    pub(super) body: &'r [u8],
}

/// A product as it is ordered.
struct Offer {
    product: Replica,
    /// What product answered, where it was asked.
    news: Option<Replica>,
}

/// What one transaction writes.
struct Placement {
    order: Order,
    news: Option<Replica>,
    once: Option<Once>,
    cause: Cause,
    deadlines: Option<Deadlines>,
}

impl Intake {
    /// What takes orders into this database.
    pub(super) fn new(
        components: &Components,
        database: Database,
        running: Running,
        deadlines: Option<Deadlines>,
    ) -> Intake {
        Intake { database, running, stock_check: StockCheck::new(components), deadlines }
    }

    /// Takes the order, or answers why not.
    pub(super) async fn place(&self, request: Request<'_>) -> Result<Response, Refusal> {
        let Request { call, command, conditions, body } = request;
        let once = Once::of(&call.headers, call.subject(), "/orders", body)?;
        // Dropped with this future: a client that goes away leaves its key free for the next try.
        let claim = once.as_ref().map(|once| self.running.claim(&once.identity)).transpose()?;
        if let Some(once) = &once {
            match self.look_up(once).await? {
                Lookup::Answered(before) => {
                    let before = Answered::before(before);
                    return Ok(before.into_response(Name::Order, &self.database).await?);
                }
                // 412 goes before 422.
                Lookup::Spent => {
                    conditions.check_collection()?;
                    return Err(idempotency::spent().into());
                }
                Lookup::Nothing => {}
            }
        }
        let offer = self.offer(call, &command).await;
        // 404 goes before 412, and 412 before whatever else keeps the order from being taken.
        if !offer.as_ref().is_err_and(Refusal::is_not_found) {
            conditions.check_collection()?;
        }
        let Offer { product, news } = offer?;
        command.check_price(product.price)?;
        let order = command.into_order(product, call.trace.id().to_owned());
        let (cause, deadlines) = (call.cause(None), self.deadlines.clone());
        let placement = Placement { order, news, once, cause, deadlines };
        let answer =
            self.database.write(placement, |placement, tx| Box::pin(take(tx, placement))).await;
        // From here on the row answers for the key.
        drop(claim);
        Ok(answer?.into_response(Name::Order, &self.database).await?)
    }

    async fn look_up(&self, once: &Once) -> Result<Lookup, Refusal> {
        let before = self.database.read(&once.identity, |identity, rows| {
            Box::pin(idempotency::store::recall(rows, identity))
        });
        Ok(once.look_up(before.await?))
    }

    /// The product as it is ordered, asked for where the replica cannot tell.
    async fn offer(&self, call: &Call, command: &Command) -> Result<Offer, Refusal> {
        let id = command.product_id;
        let replica = self.database.read(&id, |&id, rows| Box::pin(store::replica(rows, id)));
        let replica = replica.await?;
        match (begin(Replica::state(replica.as_ref())), replica) {
            (Beginning::Take, Some(product)) => return Ok(Offer { product, news: None }),
            (Beginning::Unknown, _) => return Err(Problem::not_found().into()),
            // The guarded call, and no write is open while it is on its way: product may take its time.
            (Beginning::Ask | Beginning::Take, _) => {}
        }
        match self.stock_check.ask(command.product_id, &call.trace).await {
            Availability::Product(product) => self.checked(product, command).await,
            Availability::Unknown => Err(Problem::not_found().into()),
            Availability::Unavailable { retry_after, error } => {
                let detail = "whether the product is in stock cannot be asked just now";
                Err(Problem::unavailable(&error, retry_after).detail(detail).into())
            }
        }
    }

    /// The offer that `product`'s answer makes, or 409 where it has too little of it.
    async fn checked(&self, product: Replica, command: &Command) -> Result<Offer, Refusal> {
        if !is_refused(product.asks_first(), product.stock, command.quantity) {
            return Ok(Offer { news: Some(product.clone()), product });
        }
        // The answer is newer than the replica even where the order ends here: the next customer is
        // shown it.
        let stock = product.stock;
        self.database.write(product, |it, tx| Box::pin(store::keep_newest(tx, it))).await?;
        let problem = Problem::new(StatusCode::CONFLICT, "out-of-stock", "Not enough in stock");
        let detail = format!("{} ordered, {stock} in stock", command.quantity);
        let problem = problem.detail(detail);
        Err(problem.field("quantity", "exceeds the stock", Some(stock.into())).into())
    }
}

async fn take(tx: &mut Tx<'_>, placement: &Placement) -> Result<Answered, Refusal> {
    let Placement { order, news, once, cause, deadlines } = placement;
    // Asked once more: the same key may have been used since the first look, by a call that took as long as this one. In
    // a file nobody else can write now; on a server whoever does so at the same time is met where the key is kept, below.
    if let Some(once) = once {
        match once.look_up(idempotency::store::recall(tx, &once.identity).await?) {
            Lookup::Answered(before) => return Ok(Answered::before(before)),
            Lookup::Spent => return Err(idempotency::spent().into()),
            Lookup::Nothing => {}
        }
    }
    // What product answered stands with the order that was taken on the strength of it.
    if let Some(news) = news {
        store::keep_newest(tx, news).await?;
    }
    let order = Order { id: store::insert(tx, order).await?, ..order.clone() };
    let published = publish(tx, "OrderPlaced", &order, cause).await?;
    if let Some(deadlines) = deadlines {
        deadlines.set(tx, order.id).await?;
    }
    let location = format!("/orders/{}", order.id);
    let wrote = Wrote::new(&order.id, Some(published));
    let answer = Remembered::of(OrderBody::representation(&order), location, &wrote, once.as_ref());
    // Last, because it keeps the answer: state, outbox and key are committed together or not at all.
    if let Some(once) = once {
        idempotency::keep(tx, once, &answer).await?;
    }
    Ok(Answered { answer, wrote: Some(wrote) })
}
