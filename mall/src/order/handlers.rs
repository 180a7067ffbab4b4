//! What order does about events, and the one way an order's state changes.

use events::store::Write;
use events::{Cause, Draft, Error, Event, Failure, Handler, Numbered};

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

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "ProductChanged" => {
                let changed: ProductChanged = event.decode()?;
                Ok(store::keep_newest(write.sql(), &changed.into())?)
            }
            "StockDecreased" => on_order(write, event, Input::StockDecreased),
            "ProductOutOfStock" => on_order(write, event, Input::ProductOutOfStock),
            _ => Ok(()),
        }
    }
}

impl Handler for OnDelivery {
    type Batch = ();

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "DeliveryCompleted" | "DeliveryReturned" => on_order(write, event, Input::Delivered),
            _ => Ok(()),
        }
    }
}

fn on_order(write: &mut Write<'_>, event: &Event, input: Input) -> Result<(), Failure> {
    let OfOrder { order_id } = event.decode()?;
    let Some(mut order) = store::find(write.sql(), order_id)? else {
        // Never passed over: an answer to an order that is not here says that something is lost.
        return Err(Failure::Handler(format!("no such order. order=`{order_id}`")));
    };
    advance(write, &mut order, input, &Cause::of(event))?;
    Ok(())
}

/// Decides about `input`, stores what changed and publishes it; the outbox sequence of what was
/// published, if anything was.
pub(super) fn advance(
    write: &mut Write<'_>,
    order: &mut Order,
    input: Input,
    cause: &Cause,
) -> Result<Advanced, Error> {
    let kind = match step(order.state, order.delivered, input) {
        Step::Nothing => return Ok(Advanced::Unchanged),
        Step::Refuse(reason) => return Ok(Advanced::Refused(reason)),
        Step::RememberDelivery => {
            order.delivered = true;
            store::update(write.sql(), order)?;
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
    };
    order.sequence += 1;
    store::update(write.sql(), order)?;
    publish(write, kind, order, cause).map(Advanced::Published)
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advanced {
    /// The outbox sequence of the event that says so.
    Published(Numbered),
    /// Nothing that others have to know.
    Unchanged,
    /// It may not be, for this reason.
    Refused(&'static str),
}

/// Publishes an event of the order as it is now.
pub(super) fn publish(
    write: &mut Write<'_>,
    kind: &'static str,
    order: &Order,
    cause: &Cause,
) -> Result<Numbered, Error> {
    let data = OrderEvent::of(order);
    write.publish(Draft::new(kind, order.id, order.sequence, &data, cause))
}
