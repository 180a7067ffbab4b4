//! How long an order may be PENDING: its deadline is kept with the order, in its transaction, and reached it ends the order.
//!
//! A deadline is a schedule ([`events::schedules`]) among order's own tables, so that there is one for every order that was taken
//! and for no other. When it is due the order's own row is asked: one that is still PENDING publishes DeadlineReached and is
//! rejected, in one transaction; to any other it is nothing. So a deadline that comes twice, after a crash, comes once, and one
//! that crosses with product's answer loses or wins as a whole.
//!
//! Nothing is cancelled when an order is confirmed: its deadline finds nothing to do.

use std::sync::Arc;
use std::time::Duration;

use chassis::chance;
use events::schedules::moment::Moment;
use events::schedules::{Given, Limits, Outlet, Published, Publishing, Refusal, Said, Schedules};
use events::store::Tx;
use events::{Cause, Database, Draft, Error, Event, Topic};
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::decide::{Input, State};
use super::handlers::advance;
use super::store;
use super::wire::DeadlineReached;
use crate::components::{Beside, Components, topic};
use crate::settings::Name;

/// The event that one is.
const REACHED: &str = "DeadlineReached";
/// Bytes of what tells one definition from another.
const TOKEN_BYTES: usize = 15;
/// How many may wait: as many orders as may wait for product at once.
const WAITING_MAX: u64 = 10_000_000;

/// The deadlines of all orders; clones are handles.
#[derive(Clone)]
pub(super) struct Deadlines {
    schedules: Schedules,
    /// How long an order may be PENDING.
    within: Duration,
}

/// Whom they are told to.
pub(super) struct Reached {
    database: Database,
    /// `true` while the service rests.
    paused: watch::Receiver<bool>,
}

impl Deadlines {
    /// Those of orders in this database, where orders have one.
    pub(super) fn of(components: &Components, database: &Database) -> Option<Deadlines> {
        let within = components.order_deadline?;
        let limits = Limits { max_ahead: within, max_pending: WAITING_MAX };
        let given = Given {
            clock: components.clock.clone(),
            draw: Arc::new(|| chance::token(TOKEN_BYTES)),
            limits,
        };
        let is_shared = components.host.is_some();
        let schedules = Schedules::among(database.clone(), is_shared, given);
        Some(Deadlines { schedules, within })
    }

    /// How they are kept.
    pub(super) fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// Keeps the deadline of an order that is taken in this transaction.
    pub(super) async fn set(&self, tx: &mut Tx<'_>, order: u64) -> Result<(), Error> {
        let at = tx.now().checked_add(self.within).unwrap_or(Timestamp::MAX);
        let data = DeadlineReached { order_id: order, deadline: at.to_string() };
        let data = serde_json::to_string(&data).and_then(RawValue::from_string);
        let said = Said {
            moment: Moment::At(at),
            topic: topic(Name::Order),
            kind: REACHED.to_owned(),
            subject: Some(order.to_string()),
            data: Some(data.expect("plain members are JSON")),
        };
        match self.schedules.put_with(tx, &order.to_string(), &said).await {
            Ok(()) => Ok(()),
            Err(Refusal::Store(error)) => Err(error),
            Err(refusal) => Err(Error::environment(format!("an order's deadline: {refusal}"))),
        }
    }

    /// Ends orders until the stop.
    pub(super) async fn run(self, Beside { database, paused, stop }: Beside) {
        self.schedules.run(&Reached { database, paused }, stop).await;
    }
}

impl Outlet for Reached {
    fn publish<'a>(&'a self, _: &'a Topic, events: Vec<Event>) -> Publishing<'a> {
        Box::pin(async move {
            let mut paused = self.paused.clone();
            // Its sender lives as long as the process does.
            let _ = paused.wait_for(|paused| !paused).await;
            self.database.write(events, |events, tx| Box::pin(reach_all(tx, events))).await
        })
    }

    fn published(&self, _: Published) {}
}

async fn reach_all(tx: &mut Tx<'_>, events: &[Event]) -> Result<(), Error> {
    // Keys ascending: others take orders too.
    let mut due: Vec<&Event> = events.iter().collect();
    due.sort_by_key(|event| event.subject.parse::<u64>().ok());
    for event in due {
        reach(tx, event).await?;
    }
    Ok(())
}

/// What a deadline does that is reached.
pub(super) async fn reach(tx: &mut Tx<'_>, event: &Event) -> Result<(), Error> {
    let data: DeadlineReached = event.decode()?;
    let Some(mut order) = store::take(tx, data.order_id).await? else { return Ok(()) };
    if order.state != State::Pending {
        return Ok(());
    }
    order.sequence += 1;
    let correlation_id = Some(order.correlation.clone());
    let cause = Cause { correlation_id, ..Cause::of(event) };
    tx.publish(Draft::new(REACHED, order.id, order.sequence, &data, &cause)).await?;
    advance(tx, &mut order, Input::DeadlineReached, &cause).await.map(drop)
}
