//! Order's port: orders are taken, read and cancelled.

use std::net::SocketAddr;
use std::rc::Rc;

use chassis::http::fields::Fields;
use chassis::http::hal::Slice;
use chassis::http::query::Query;
use chassis::http::router::{Route, Router};
use chassis::http::{Problem, Request, Response, Serve, empty};
use events::store::Tx;
use events::{Cause, Database};
use http::StatusCode;
use http::header::ETAG;
use http::request::Parts;

use super::command::Command;
use super::decide::{Input, State};
use super::handlers::{Advanced, advance};
use super::model::Order;
use super::place::{self, Intake};
use super::store;
use super::wire;
use crate::answers::{self, Filter, Search, Written, Wrote};
use crate::components::Components;
use crate::condition::{self, Conditions, Keep};
use crate::edge::{Call, Content, Edge, Refusal};
use crate::listed::Listed;
use crate::settings::Name;

/// The members that an order has, and that a client may name in a change.
const MEMBERS: [&str; 11] = [
    "id",
    "productId",
    "productName",
    "quantity",
    "qty",
    "price",
    "customerId",
    "customerName",
    "customerAddr",
    "state",
    "reason",
];

const SEARCH: &str = "/orders/search/findByCustomerId";

/// What answers order's port on one core.
pub struct Server {
    edge: Edge,
    table: Router<Action>,
    database: Database,
    intake: Intake,
}

/// What a request for order's port asks for.
#[derive(Clone, Copy)]
pub(super) enum Action {
    List,
    FindByCustomer,
    Read,
    Place,
    Patch,
    Delete,
    Product,
}

/// Every path, method and action of the port.
pub(super) fn routes() -> Vec<Route<Action>> {
    vec![
        Route::get("/orders", Action::List),
        Route::post("/orders", Action::Place),
        Route::get("/orders/{id}", Action::Read),
        Route::patch("/orders/{id}", Action::Patch),
        Route::delete("/orders/{id}", Action::Delete),
        Route::get(SEARCH, Action::FindByCustomer),
        Route::get("/products/{id}", Action::Product),
    ]
}

impl Server {
    pub(super) fn new(components: &Components, intake: Intake, address: SocketAddr) -> Server {
        Server {
            edge: Edge::new(Name::Order, components, address),
            table: Router::of(routes()),
            database: intake.database.clone(),
            intake,
        }
    }

    async fn act(&self, action: Action, call: Call) -> Result<Response, Refusal> {
        match action {
            Action::List => self.list(&call).await,
            Action::FindByCustomer => self.find_by_customer(&call).await,
            Action::Read => self.read(&call).await,
            Action::Place => self.place(call).await,
            Action::Patch => self.patch(call).await,
            Action::Delete => self.delete(&call).await,
            Action::Product => self.product(&call).await,
        }
    }

    async fn list(&self, call: &Call) -> Result<Response, Refusal> {
        let slice = answers::slice(call.query()?)?;
        self.listed(call.narrowed_to(), slice, "/orders", None).await
    }

    async fn find_by_customer(&self, call: &Call) -> Result<Response, Refusal> {
        let Search { wanted: customer, slice } = search(call.query()?)?;
        let filter = Some(Filter { name: "customerId", value: &customer });
        // Not 403: a search without a hit is an empty list, and nobody is told that another has orders.
        if !call.sees(&customer) {
            let nothing = Listed { items: Vec::<()>::new(), total: 0 };
            return Ok(answers::list("orders", &nothing, slice, SEARCH, filter));
        }
        self.listed(Some(&customer), slice, SEARCH, filter).await
    }

    async fn listed(
        &self,
        customer: Option<&str>,
        slice: Slice,
        path: &str,
        filter: Option<Filter<'_>>,
    ) -> Result<Response, Refusal> {
        let given = (customer, slice);
        let orders = self
            .database
            .read(&given, |(customer, slice), rows| Box::pin(store::list(rows, *customer, *slice)));
        let orders = orders.await?;
        Ok(answers::list("orders", &orders.map(wire::OrderBody::of), slice, path, filter))
    }

    async fn read(&self, call: &Call) -> Result<Response, Refusal> {
        let order = self.find(call, call.id()?).await?;
        Ok(wire::OrderBody::representation(&order).answer(&call.headers, Keep::Oneself)?)
    }

    async fn product(&self, call: &Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        let replica = self.database.read(&id, |&id, rows| Box::pin(store::replica(rows, id)));
        // Order's own copy, as old as the last event of the product that has arrived.
        match replica.await?.filter(|replica| !replica.deleted) {
            Some(replica) => Ok(wire::ProductBody::representation(&replica)
                .answer(&call.headers, Keep::Everybody)?),
            None => Err(Problem::not_found().into()),
        }
    }

    async fn place(&self, mut call: Call) -> Result<Response, Refusal> {
        let Content { fields, bytes } = call.content().await?;
        let command = Command::read(fields, |wanted| customer_of(&call, wanted))?;
        let conditions = Conditions::read(&call.headers)?;
        self.intake.place(place::Request { call: &call, command, conditions, body: &bytes }).await
    }

    async fn patch(&self, mut call: Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        let conditions = Conditions::read(&call.headers)?;
        let fields = call.fields().await?;
        // A body that can never be is 400 at once. One that an order only does not allow waits for the row: who
        // may not see the order gets 404, and a false condition 412 before it.
        let asked = Cancellation { conditions, refused: why_no_change(fields)? };
        let Written { row, wrote } = self.cancel(&call, id, asked).await?;
        let position = wrote.position(Name::Order, &self.database).await?;
        Ok(answers::changed(wire::OrderBody::representation(&row), &position))
    }

    async fn delete(&self, call: &Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        let asked = Cancellation { conditions: Conditions::read(&call.headers)?, refused: None };
        let Written { row, wrote } = self.cancel(call, id, asked).await?;
        let position = wrote.position(Name::Order, &self.database).await?;
        let mut response = answers::written(empty(StatusCode::NO_CONTENT), &position);
        // The row stays, as a cancelled order: who goes on changing it needs its new tag.
        let etag = condition::tag(&wire::OrderBody::representation(&row).etag);
        response.headers_mut().insert(ETAG, etag);
        Ok(response)
    }

    /// The order, for whoever may see it; another's is not there.
    async fn find(&self, call: &Call, id: u64) -> Result<Order, Refusal> {
        let found = self.database.read(&id, |&id, rows| Box::pin(store::find(rows, id)));
        let visible = found.await?.filter(|order| call.sees(&order.customer_id));
        visible.ok_or_else(|| Problem::not_found().into())
    }

    /// Cancels the order, unless something that was `asked` for with it is not so.
    async fn cancel(
        &self,
        call: &Call,
        id: u64,
        asked: Cancellation,
    ) -> Result<Written<Order>, Refusal> {
        let cancelling = Cancelling {
            id,
            owner: call.narrowed_to().map(str::to_owned),
            asked,
            base: call.cause(None),
        };
        self.database.write(cancelling, |it, tx| Box::pin(cancel(tx, it))).await
    }
}

/// An order on its way to being cancelled.
struct Cancelling {
    id: u64,
    /// Whose it has to be; anybody's where it is an administrator who asks.
    owner: Option<String>,
    asked: Cancellation,
    base: Cause,
}

async fn cancel(tx: &mut Tx<'_>, cancelling: &Cancelling) -> Result<Written<Order>, Refusal> {
    let Cancelling { id, owner, asked, base } = cancelling;
    // Looked up anew: what was read before this transaction may have changed, and its owner is decided by this row.
    let found = store::take(tx, *id).await?;
    let is_seen = |it: &Order| owner.as_ref().is_none_or(|own| *own == it.customer_id);
    let mut order = found.filter(is_seen).ok_or_else(Problem::not_found)?;
    asked.conditions.check(|| wire::OrderBody::representation(&order))?;
    if let Some(reason) = asked.refused {
        return Err(Problem::conflict(reason).into());
    }
    // The end is told under the id of the placing, so that all that ever became of an order is one story.
    let correlation_id = Some(order.correlation.clone());
    let cause = Cause { correlation_id, ..base.clone() };
    let published = match advance(tx, &mut order, Input::Cancel, &cause).await? {
        Advanced::Published(published) => Some(published),
        // Cancelled before: the same again is 200, and its position is that of the newest write to this order.
        Advanced::Unchanged => None,
        Advanced::Refused(reason) => return Err(Problem::conflict(reason).into()),
    };
    let wrote = Wrote::new(&order.id, published);
    Ok(Written { row: order, wrote })
}

/// What comes with the request to cancel an order.
struct Cancellation {
    conditions: Conditions,
    /// Why the change is none that an order allows.
    refused: Option<&'static str>,
}

/// Reads the query of a search.
pub(super) fn search(query: Query) -> Result<Search<String>, Problem> {
    answers::search(query, "customerId", |query| query.text("customerId").unwrap_or_default())
}

/// Whose order it is: a token's subject orders for itself, an administrator and whoever needs no token
/// for anybody.
fn customer_of(call: &Call, wanted: Option<String>) -> Result<String, Problem> {
    // Without a token and a name it is nobody's order; that is allowed on the service's own loopback port alone.
    let customer = wanted.unwrap_or_else(|| call.subject().to_owned());
    if call.sees(&customer) {
        return Ok(customer);
    }
    Err(Problem::forbidden("an order is placed for oneself"))
}

/// Why an order cannot be changed as the body asks, if it cannot: its end is all that can be asked for.
pub(super) fn why_no_change(mut fields: Fields) -> Result<Option<&'static str>, Problem> {
    let wanted = fields.raw("state").and_then(|state| state.as_str()).and_then(State::parse);
    let named: Vec<&str> = MEMBERS.into_iter().filter(|member| fields.has(member)).collect();
    if named.is_empty() {
        // For the description, which asks this reader: nothing is done without it.
        fields.require("state");
        let problem = Problem::bad_request("the body names no field of an order");
        return Err(problem.field("state", "is missing", None));
    }
    // Mistakes in what is named are told first, although nothing but the state would be taken of it.
    for member in &named {
        fields.check_text(member);
    }
    fields.finish()?;
    if named != ["state"] {
        return Ok(Some("an order that is placed can only be cancelled"));
    }
    let other = wanted != Some(State::Cancelled);
    Ok(other.then_some("an order's state can only be changed to OrderCancelled"))
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, _peer: SocketAddr) -> Response {
        self.edge.answer(&self.table, request, |action, call| self.act(action, call)).await
    }

    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        self.edge.admits(head)
    }
}
