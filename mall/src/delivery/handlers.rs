//! What delivery does about order's events, and the one way a delivery's state changes.

use events::store::{Published, Tx};
use events::{Cause, Draft, Error, Event, Failure, Handler};

use super::decide::{Have, Input, State, Step, step};
use super::model::Delivery;
use super::store;
use super::wire::{DeliveryBody, OfOrder};

/// Reads the topic `order`.
pub(crate) struct OnOrder;

impl Handler for OnOrder {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "OrderConfirmed" => on_order(tx, event, Input::Confirmed).await,
            "OrderCancelled" | "OrderRejected" => on_order(tx, event, Input::Ended).await,
            _ => Ok(()),
        }
    }
}

async fn on_order(tx: &mut Tx<'_>, event: &Event, input: Input) -> Result<(), Failure> {
    let order: OfOrder = event.decode()?;
    let cause = Cause::of(event);
    let delivery = store::take_of_order(tx, order.order_id).await?;
    // A tombstone is looked for only where there is no delivery: of one order there is never both.
    let have = match &delivery {
        Some(delivery) => Have::Delivery(delivery.state),
        None if store::is_buried(tx, order.order_id).await? => Have::Tombstone,
        None => Have::Nothing,
    };
    match (step(have, input), delivery) {
        (Step::Start, _) => start(tx, order, &cause).await?,
        (Step::Bury, _) => store::bury(tx, order.order_id).await?,
        // The table cancels only what there is, so that the second half is never missing.
        (Step::Cancel, Some(mut delivery)) => {
            advance(tx, &mut delivery, State::Cancelled, &cause).await?;
        }
        _ => {}
    }
    Ok(())
}

async fn start(tx: &mut Tx<'_>, order: OfOrder, cause: &Cause) -> Result<(), Error> {
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
        // Not 1: after a restore, counts of what was lost must not come again with other contents.
        sequence: tx.first_count(),
        correlation: cause.correlation_id.clone(),
    };
    delivery.id = store::insert(tx, &delivery).await?;
    publish(tx, &delivery, cause).await?;
    Ok(())
}

/// Makes a delivery `state` and publishes the event of that name.
pub(super) async fn advance(
    tx: &mut Tx<'_>,
    delivery: &mut Delivery,
    state: State,
    cause: &Cause,
) -> Result<Published, Error> {
    // One more with every change of state, and with nothing else: who reads the events sees whether one is missing.
    delivery.state = state;
    delivery.sequence += 1;
    store::update(tx, delivery).await?;
    publish(tx, delivery, cause).await
}

async fn publish(tx: &mut Tx<'_>, delivery: &Delivery, cause: &Cause) -> Result<Published, Error> {
    let data = DeliveryBody::of(delivery);
    let draft =
        Draft::new(delivery.state.as_str(), delivery.order_id, delivery.sequence, &data, cause);
    tx.publish(draft).await
}
