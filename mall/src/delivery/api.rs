//! Delivery's port: deliveries are read, completed and returned.

use std::net::SocketAddr;
use std::rc::Rc;

use chassis::http::hal::Slice;
use chassis::http::path::Table;
use chassis::http::{Problem, Request, Response, Serve};
use events::{Cause, Database};
use http::Method;

use super::decide::{State, Wish, wish};
use super::handlers::advance;
use super::parcel::Parcel;
use super::store::sqlite;
use super::wire;
use crate::condition::{Conditions, Keep};
use crate::edge::{self, Call, Edge, ID_MAX, Refusal};
use crate::{Name, Setting};

/// Characters a state's name may have.
const STATE_CHARS_MAX: usize = 64;

const SEARCH: &str = "/deliveries/search/findByOrderIdOrderByDeliveryIdDesc";

/// What answers delivery's port on one core.
pub struct Server {
    edge: Edge,
    table: Table<Action>,
    database: Database,
}

#[derive(Clone, Copy)]
enum Action {
    List,
    FindByOrder,
    Read,
    Patch,
}

impl Server {
    pub(super) fn new(setting: &Setting, database: Database, address: SocketAddr) -> Server {
        let table = Table::new(vec![
            ("/deliveries", Method::GET, Action::List),
            ("/deliveries/{id}", Method::GET, Action::Read),
            ("/deliveries/{id}", Method::PATCH, Action::Patch),
            (SEARCH, Method::GET, Action::FindByOrder),
        ]);
        Server { edge: Edge::new(Name::Delivery, setting, address), table, database }
    }

    async fn act(&self, action: Action, call: Call) -> Result<Response, Refusal> {
        match action {
            Action::List => self.list(&call),
            Action::FindByOrder => self.find_by_order(&call),
            Action::Read => self.read(&call),
            Action::Patch => self.patch(call).await,
        }
    }

    fn list(&self, call: &Call) -> Result<Response, Refusal> {
        let mut query = call.query()?;
        let slice = Slice::from_query(&mut query);
        query.finish()?;
        self.database.read(|connection| {
            let (parcels, total) = sqlite::list(connection, call.narrowed_to(), slice)?;
            let deliveries: Vec<_> = parcels.iter().map(wire::Delivery::of).collect();
            Ok(edge::list("deliveries", (deliveries, total), slice, "/deliveries", None))
        })
    }

    fn find_by_order(&self, call: &Call) -> Result<Response, Refusal> {
        let mut query = call.query()?;
        let slice = Slice::from_query(&mut query);
        if query.get("orderId").is_none() {
            query.note("orderId", "is missing");
        }
        let order_id = query.whole("orderId", 1..=ID_MAX, 1);
        query.finish()?;
        self.database.read(|connection| {
            let found = sqlite::of_order(connection, order_id)?;
            let visible = found.filter(|parcel| call.sees(&parcel.customer_id));
            let total = u64::from(visible.is_some());
            let items: Vec<_> =
                visible.iter().filter(|_| slice.page == 0).map(wire::Delivery::of).collect();
            let filter = order_id.to_string();
            let filter = Some(("orderId", filter.as_str()));
            Ok(edge::list("deliveries", (items, total), slice, SEARCH, filter))
        })
    }

    fn read(&self, call: &Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        self.database.read(|connection| {
            let found = sqlite::find(connection, id)?;
            let visible = found.filter(|parcel| call.sees(&parcel.customer_id));
            let parcel = visible.ok_or_else(Problem::not_found)?;
            Ok(wire::Delivery::shown(&parcel).answer(&call.headers, Keep::Oneself)?)
        })
    }

    async fn patch(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let id = call.id()?;
        let conditions = Conditions::read(&call.headers)?;
        let (mut fields, _) = call.fields().await?;
        fields.require("deliveryState");
        let word = fields.text("deliveryState", STATE_CHARS_MAX);
        let wanted = word.as_deref().and_then(State::parse);
        if wanted.is_none() {
            fields.note("deliveryState", "must be DeliveryCompleted or DeliveryReturned", None);
        }
        fields.finish()?;
        let wanted = wanted.ok_or_else(Problem::internal)?;
        let base = call.cause(None);
        let patched = self.database.write(move |write| {
            let found = sqlite::find(write.sql(), id)?;
            let mut parcel = found.ok_or_else(Problem::not_found)?;
            conditions.check(|| wire::Delivery::shown(&parcel))?;
            let sequence = match wish(parcel.state, wanted) {
                Wish::Granted => {
                    let cause = correlated(base, &parcel);
                    advance(write, &mut parcel, wanted, &cause)?
                }
                Wish::Already => write.last_sequence(),
                Wish::Refused(reason) => return Err(Problem::conflict(reason).into()),
            };
            let position = edge::position(Name::Delivery, &parcel.order_id, sequence);
            Ok::<_, Refusal>((parcel, position))
        });
        let (parcel, position) = patched.await?;
        Ok(edge::changed(wire::Delivery::shown(&parcel), &position))
    }
}

/// The request as a cause within the order's business transaction.
fn correlated(request: Cause, parcel: &Parcel) -> Cause {
    let correlation_id = parcel.correlation.clone().or(request.correlation_id);
    Cause { correlation_id, ..request }
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, _peer: SocketAddr) -> Response {
        self.edge.answer(&self.table, request, |action, call| self.act(action, call)).await
    }
}
