//! Delivery's port: deliveries are read, completed and returned.

use std::net::SocketAddr;
use std::rc::Rc;

use chassis::http::fields::Fields;
use chassis::http::query::Query;
use chassis::http::router::{Route, Router};
use chassis::http::{Problem, Request, Response, Serve};
use events::store::Tx;
use events::{Cause, Database};
use http::request::Parts;

use super::decide::{State, Transition, transition};
use super::handlers::advance;
use super::model::Delivery;
use super::store;
use super::wire;
use crate::answers::{self, Filter, Search, Written, Wrote};
use crate::components::Components;
use crate::condition::{Conditions, Keep};
use crate::edge::{Call, Edge, ID_MAX, Refusal};
use crate::listed::Listed;
use crate::settings::Name;

/// Characters a state's name may have.
const STATE_CHARS_MAX: usize = 64;

const SEARCH: &str = "/deliveries/search/findByOrderIdOrderByDeliveryIdDesc";

/// What answers delivery's port on one core.
pub struct Server {
    edge: Edge,
    table: Router<Action>,
    database: Database,
}

/// What a request for delivery's port asks for.
#[derive(Clone, Copy)]
pub(super) enum Action {
    List,
    FindByOrder,
    Read,
    Patch,
}

/// Every path, method and action of the port.
pub(super) fn routes() -> Vec<Route<Action>> {
    vec![
        Route::get("/deliveries", Action::List),
        Route::get("/deliveries/{id}", Action::Read),
        Route::patch("/deliveries/{id}", Action::Patch),
        Route::get(SEARCH, Action::FindByOrder),
    ]
}

impl Server {
    pub(super) fn new(components: &Components, database: Database, address: SocketAddr) -> Server {
        let table = Router::of(routes());
        Server { edge: Edge::new(Name::Delivery, components, address), table, database }
    }

    async fn act(&self, action: Action, call: Call) -> Result<Response, Refusal> {
        match action {
            Action::List => self.list(&call).await,
            Action::FindByOrder => self.find_by_order(&call).await,
            Action::Read => self.read(&call).await,
            Action::Patch => self.patch(call).await,
        }
    }

    async fn list(&self, call: &Call) -> Result<Response, Refusal> {
        let slice = answers::slice(call.query()?)?;
        let given = (call.narrowed_to(), slice);
        let deliveries = self
            .database
            .read(&given, |(customer, slice), rows| Box::pin(store::list(rows, *customer, *slice)));
        let deliveries = deliveries.await?;
        let bodies = deliveries.map(wire::DeliveryBody::of);
        Ok(answers::list("deliveries", &bodies, slice, "/deliveries", None))
    }

    async fn find_by_order(&self, call: &Call) -> Result<Response, Refusal> {
        let Search { wanted: order_id, slice } = search(call.query()?)?;
        let found = self.database.read(&order_id, |&id, rows| Box::pin(store::of_order(rows, id)));
        let visible = found.await?.filter(|delivery| call.sees(&delivery.customer_id));
        // An order has one delivery at most; that of another's order is as none.
        let total = u64::from(visible.is_some());
        let items: Vec<_> =
            visible.iter().filter(|_| slice.page == 0).map(wire::DeliveryBody::of).collect();
        let filter = Filter { name: "orderId", value: &order_id.to_string() };
        Ok(answers::list("deliveries", &Listed { items, total }, slice, SEARCH, Some(filter)))
    }

    async fn read(&self, call: &Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        let found = self.database.read(&id, |&id, rows| Box::pin(store::find(rows, id)));
        let visible = found.await?.filter(|delivery| call.sees(&delivery.customer_id));
        let delivery = visible.ok_or_else(Problem::not_found)?;
        Ok(wire::DeliveryBody::representation(&delivery).answer(&call.headers, Keep::Oneself)?)
    }

    async fn patch(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let id = call.id()?;
        let conditions = Conditions::read(&call.headers)?;
        let fields = call.fields().await?;
        let command = Command { id, conditions, wanted: wanted(fields)?, base: call.cause(None) };
        let patched = self.database.write(command, |command, tx| Box::pin(patch(tx, command)));
        let Written { row, wrote } = patched.await?;
        let position = wrote.position(Name::Delivery, &self.database).await?;
        Ok(answers::changed(wire::DeliveryBody::representation(&row), &position))
    }
}

/// A change that an administrator asks for.
struct Command {
    id: u64,
    conditions: Conditions,
    wanted: State,
    base: Cause,
}

async fn patch(tx: &mut Tx<'_>, command: &Command) -> Result<Written<Delivery>, Refusal> {
    let Command { id, conditions, wanted, base } = command;
    // Decided by the row as this transaction sees it: the order may have been cancelled meanwhile.
    let mut delivery = store::take(tx, *id).await?.ok_or_else(Problem::not_found)?;
    conditions.check(|| wire::DeliveryBody::representation(&delivery))?;
    let published = match transition(delivery.state, *wanted) {
        Transition::Allowed => {
            let cause = correlated(base.clone(), &delivery);
            Some(advance(tx, &mut delivery, *wanted, &cause).await?)
        }
        Transition::Unchanged => None,
        Transition::Refused(reason) => return Err(Problem::conflict(reason).into()),
    };
    // Its events are keyed by the order, so a reader waits for that key and not for the delivery's own id.
    let wrote = Wrote::new(&delivery.order_id, published);
    Ok(Written { row: delivery, wrote })
}

/// Reads the query of a search.
pub(super) fn search(query: Query) -> Result<Search<u64>, Problem> {
    answers::search(query, "orderId", |query| query.whole("orderId", 1..=ID_MAX, 1))
}

/// The state that a body asks for.
pub(super) fn wanted(mut fields: Fields) -> Result<State, Problem> {
    fields.require("deliveryState");
    let word = fields.text("deliveryState", STATE_CHARS_MAX);
    let wanted = word.as_deref().and_then(State::parse);
    if wanted.is_none() {
        fields.note("deliveryState", "must be DeliveryCompleted or DeliveryReturned", None);
    }
    // Past this line there is one: whatever is none was noted.
    fields.finish()?;
    wanted.ok_or_else(Problem::internal)
}

/// The request as a cause within the order's business transaction.
fn correlated(request: Cause, delivery: &Delivery) -> Cause {
    // One that began without a correlation has none to go on with: then this request begins a story of its own.
    let correlation_id = delivery.correlation.clone().or(request.correlation_id);
    Cause { correlation_id, ..request }
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, _peer: SocketAddr) -> Response {
        self.edge.answer(&self.table, request, |action, call| self.act(action, call)).await
    }

    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        self.edge.admits(head)
    }
}
