//! What delivery does about order's events, and the one way a delivery's state changes.

use events::store::sqlite::Write;
use events::{Cause, Draft, Error, Event, Failure, Handler};

use super::decide::{Have, Input, State, Step, step};
use super::parcel::Parcel;
use super::store::sqlite;
use super::wire::{Delivery, OfOrder};

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
    let delivery = sqlite::of_order(write.sql(), order.order_id)?;
    let have = match &delivery {
        Some(parcel) => Have::Delivery(parcel.state),
        None if sqlite::is_buried(write.sql(), order.order_id)? => Have::Tombstone,
        None => Have::Nothing,
    };
    match (step(have, input), delivery) {
        (Step::Start, _) => start(write, order, &cause)?,
        (Step::Bury, _) => sqlite::bury(write.sql(), order.order_id)?,
        (Step::Cancel, Some(mut parcel)) => {
            advance(write, &mut parcel, State::Cancelled, &cause)?;
        }
        _ => {}
    }
    Ok(())
}

fn start(write: &mut Write<'_>, order: OfOrder, cause: &Cause) -> Result<(), Error> {
    let mut parcel = Parcel {
        id: 0,
        order_id: order.order_id,
        quantity: order.quantity,
        product_id: order.product_id,
        product_name: order.product_name,
        customer_id: order.customer_id,
        customer_name: order.customer_name,
        address: order.customer_addr,
        state: State::Started,
        sequence: 1,
        correlation: cause.correlation_id.clone(),
    };
    parcel.id = sqlite::insert(write.sql(), &parcel)?;
    publish(write, &parcel, cause)?;
    Ok(())
}

/// Makes a delivery `state` and publishes the event of that name; the outbox sequence.
pub(super) fn advance(
    write: &mut Write<'_>,
    parcel: &mut Parcel,
    state: State,
    cause: &Cause,
) -> Result<u64, Error> {
    parcel.state = state;
    parcel.sequence += 1;
    sqlite::update(write.sql(), parcel)?;
    publish(write, parcel, cause)
}

fn publish(write: &mut Write<'_>, parcel: &Parcel, cause: &Cause) -> Result<u64, Error> {
    let data = Delivery::of(parcel);
    write.publish(Draft::new(parcel.state.as_str(), parcel.order_id, parcel.sequence, &data, cause))
}
