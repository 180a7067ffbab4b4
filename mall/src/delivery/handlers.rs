//! What delivery does about order's events, and the one way a delivery's state changes.

use events::store::Write;
use events::{Cause, Draft, Error, Event, Failure, Handler, Numbered};

use super::decide::{Have, Input, State, Step, step};
use super::model::Delivery;
use super::store;
use super::wire::{DeliveryBody, OfOrder};

/// Reads the topic `order`.
pub(crate) struct OnOrder;

impl Handler for OnOrder {
    type Batch = ();

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "OrderConfirmed" => on_order(write, event, Input::Confirmed),
            "OrderCancelled" | "OrderRejected" => on_order(write, event, Input::Ended),
            _ => Ok(()),
        }
    }
}

fn on_order(write: &mut Write<'_>, event: &Event, input: Input) -> Result<(), Failure> {
    let order: OfOrder = event.decode()?;
    let cause = Cause::of(event);
    let delivery = store::of_order(write.sql(), order.order_id)?;
    let have = match &delivery {
        Some(delivery) => Have::Delivery(delivery.state),
        None if store::is_buried(write.sql(), order.order_id)? => Have::Tombstone,
        None => Have::Nothing,
    };
    match (step(have, input), delivery) {
        (Step::Start, _) => start(write, order, &cause)?,
        (Step::Bury, _) => store::bury(write.sql(), order.order_id)?,
        (Step::Cancel, Some(mut delivery)) => {
            advance(write, &mut delivery, State::Cancelled, &cause)?;
        }
        _ => {}
    }
    Ok(())
}

fn start(write: &mut Write<'_>, order: OfOrder, cause: &Cause) -> Result<(), Error> {
    let mut delivery = Delivery {
        id: 0,
        order_id: order.order_id,
        quantity: order.quantity,
        product_id: order.product_id,
        product_name: order.product_name,
        customer_id: order.customer_id,
        customer_name: order.customer_name,
        address: order.customer_addr,
        state: State::Started,
        sequence: write.first_count(),
        correlation: cause.correlation_id.clone(),
    };
    delivery.id = store::insert(write.sql(), &delivery)?;
    publish(write, &delivery, cause)?;
    Ok(())
}

/// Makes a delivery `state` and publishes the event of that name; the outbox sequence.
pub(super) fn advance(
    write: &mut Write<'_>,
    delivery: &mut Delivery,
    state: State,
    cause: &Cause,
) -> Result<Numbered, Error> {
    delivery.state = state;
    delivery.sequence += 1;
    store::update(write.sql(), delivery)?;
    publish(write, delivery, cause)
}

fn publish(write: &mut Write<'_>, delivery: &Delivery, cause: &Cause) -> Result<Numbered, Error> {
    let data = DeliveryBody::of(delivery);
    write.publish(Draft::new(
        delivery.state.as_str(),
        delivery.order_id,
        delivery.sequence,
        &data,
        cause,
    ))
}
