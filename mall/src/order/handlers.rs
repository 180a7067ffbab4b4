//! What order does about events, and the one way an order's state changes.

use events::store::{Published, Tx};
use events::{Cause, Draft, Error, Event, Failure, Handler};

use super::decide::{Input, State, Step, step};
use super::model::Order;
use super::store;
use super::wire::{OfOrder, OrderEvent, ProductChanged};

/// Reads the topic `product`.
pub(crate) struct OnProduct;

/// Reads the topic `delivery`.
pub(crate) struct OnDelivery;

impl Handler for OnProduct {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "ProductChanged" => {
                let changed: ProductChanged = event.decode()?;
                Ok(store::keep_newest(tx, &changed.into()).await?)
            }
            "StockDecreased" => on_order(tx, event, Input::StockDecreased).await,
            "ProductOutOfStock" => on_order(tx, event, Input::ProductOutOfStock).await,
            _ => Ok(()),
        }
    }
}

impl Handler for OnDelivery {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "DeliveryCompleted" | "DeliveryReturned" => on_order(tx, event, Input::Delivered).await,
            _ => Ok(()),
        }
    }
}

async fn on_order(tx: &mut Tx<'_>, event: &Event, input: Input) -> Result<(), Failure> {
    let OfOrder { order_id } = event.decode()?;
    let Some(mut order) = store::take(tx, order_id).await? else {
        // Never passed over: an answer to an order that is not here says that something is lost.
        return Err(Failure::Handler(format!("no such order. order=`{order_id}`")));
    };
    advance(tx, &mut order, input, &Cause::of(event)).await?;
    Ok(())
}

/// Decides about `input`, stores what changed and publishes it; what was published, if anything was.
pub(super) async fn advance(
    tx: &mut Tx<'_>,
    order: &mut Order,
    input: Input,
    cause: &Cause,
) -> Result<Advanced, Error> {
    // What the table says becomes the row first, and then the event shows the row as it is from now on.
    let kind = match step(order.state, order.delivered, input) {
        Step::Nothing => return Ok(Advanced::Unchanged),
        Step::Refuse(reason) => return Ok(Advanced::Refused(reason)),
        // Nobody outside sees it, so it is no event and no new version: it only forbids a later cancellation.
        Step::RememberDelivery => {
            order.delivered = true;
            store::update(tx, order).await?;
            return Ok(Advanced::Unchanged);
        }
        Step::Confirm => {
            order.state = State::Placed;
            "OrderConfirmed"
        }
        Step::Cancel { reason } => {
            order.state = State::Cancelled;
            order.reason = reason.map(str::to_owned);
            "OrderCancelled"
        }
        Step::Reject { reason } => {
            order.state = State::Rejected;
            order.reason = Some(reason.to_owned());
            "OrderRejected"
        }
    };
    order.sequence += 1;
    store::update(tx, order).await?;
    publish(tx, kind, order, cause).await.map(Advanced::Published)
}

/// What became of an input.
#[derive(Debug)]
pub(super) enum Advanced {
    /// The event that says so.
    Published(Published),
    /// Nothing that others have to know.
    Unchanged,
    /// It may not be, for this reason.
    Refused(&'static str),
}

/// Publishes an event of the order as it is now.
pub(super) async fn publish(
    tx: &mut Tx<'_>,
    kind: &'static str,
    order: &Order,
    cause: &Cause,
) -> Result<Published, Error> {
    let data = OrderEvent::of(order);
    tx.publish(Draft::new(kind, order.id, order.sequence, &data, cause)).await
}
