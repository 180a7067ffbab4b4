//! Product's port: products are read, registered, changed and deleted; pictures.

use std::net::SocketAddr;
use std::rc::Rc;

use chassis::http::hal::Slice;
use chassis::http::query::Query;
use chassis::http::router::{Route, Router};
use chassis::http::{Problem, Request, Response, Serve, empty};
use events::store::{Published, Tx};
use events::{Cause, Database};
use http::StatusCode;
use http::request::Parts;

use super::command::{self, Edit};
use super::handlers::{self, publish};
use super::model::Product;
use super::store;
use super::wire;
use crate::answers::{self, Filter, Search, Written, Wrote};
use crate::components::Components;
use crate::condition::{Conditions, Keep};
use crate::edge::{Call, Content, Edge, Refusal};
use crate::idempotency::store as remembered;
use crate::idempotency::{self, Answered, Lookup, Once, Remembered, Running};
use crate::pictures;
use crate::settings::Name;

/// What answers product's port on one core.
pub struct Server {
    edge: Edge,
    table: Router<Action>,
    database: Database,
    running: Running,
}

/// What a request for product's port asks for.
#[derive(Clone, Copy)]
pub(super) enum Action {
    List,
    FindByName,
    Read,
    /// What order asks before it takes an order.
    Ask,
    Register,
    Replace,
    Patch,
    Delete,
    Restock,
    Picture,
}

/// The same resources under two names.
const COLLECTIONS: [[&str; 4]; 2] = [
    ["/products", "/products/{id}", "/products/{id}/restock", "/products/search/findByName"],
    [
        "/inventories",
        "/inventories/{id}",
        "/inventories/{id}/restock",
        "/inventories/search/findByName",
    ],
];

/// Every path, method and action of the port.
pub(super) fn routes() -> Vec<Route<Action>> {
    let mut routes = vec![
        Route::get("/product/{id}", Action::Ask),
        Route::get("/goods/img/{name}", Action::Picture),
    ];
    for [all, one, restock, search] in COLLECTIONS {
        routes.extend([
            Route::get(all, Action::List),
            Route::post(all, Action::Register),
            Route::get(one, Action::Read),
            Route::put(one, Action::Replace),
            Route::patch(one, Action::Patch),
            Route::delete(one, Action::Delete),
            Route::post(restock, Action::Restock),
            Route::get(search, Action::FindByName),
        ]);
    }
    routes
}

impl Server {
    pub(super) fn new(
        components: &Components,
        database: Database,
        running: Running,
        address: SocketAddr,
    ) -> Server {
        let edge = Edge::new(Name::Product, components, address);
        let edge = edge.asked_by(&[Name::Order], components);
        Server { edge, table: Router::of(routes()), database, running }
    }

    async fn act(&self, action: Action, call: Call) -> Result<Response, Refusal> {
        match action {
            Action::Ask => call.require_a_service()?,
            _ => call.refuse_services()?,
        }
        match action {
            Action::List => self.list(&call).await,
            Action::FindByName => self.find_by_name(&call).await,
            Action::Read | Action::Ask => self.read(&call).await,
            Action::Picture => picture(&call),
            Action::Register => self.register(call).await,
            Action::Replace => self.replace(call).await,
            Action::Patch => self.patch(call).await,
            Action::Delete => self.delete(&call).await,
            Action::Restock => self.restock(call).await,
        }
    }

    async fn list(&self, call: &Call) -> Result<Response, Refusal> {
        self.listed(None, answers::slice(call.query()?)?, "/products").await
    }

    async fn find_by_name(&self, call: &Call) -> Result<Response, Refusal> {
        let Search { wanted: name, slice } = search(call.query()?)?;
        self.listed(name.as_deref(), slice, "/products/search/findByName").await
    }

    async fn listed(
        &self,
        name: Option<&str>,
        slice: Slice,
        path: &str,
    ) -> Result<Response, Refusal> {
        let given = (name, slice);
        let products = self
            .database
            .read(&given, |(name, slice), rows| Box::pin(store::list(rows, *name, *slice)));
        let products = products.await?;
        let filter = name.map(|value| Filter { name: "name", value });
        Ok(answers::list("products", &products.map(wire::ProductBody::of), slice, path, filter))
    }

    async fn read(&self, call: &Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        let found = self.database.read(&id, |&id, rows| Box::pin(store::find(rows, id)));
        let product = present(found.await?)?;
        Ok(wire::ProductBody::representation(&product).answer(&call.headers, Keep::Everybody)?)
    }

    async fn register(&self, mut call: Call) -> Result<Response, Refusal> {
        // Before the body: who may not write is not told what is wrong with what he sends.
        call.require_administrator()?;
        let Content { fields, bytes } = call.content().await?;
        let product = Edit::whole(fields, &[])?.into_product();
        let once = Once::of(&call.headers, call.subject(), "/products", &bytes)?;
        let conditions = Conditions::read(&call.headers)?;
        let task = Task::Register { product };
        self.once(Command { task, once, conditions, cause: call.cause(None) }).await
    }

    async fn restock(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let id = call.id()?;
        let fields = call.fields().await?;
        let added = command::restocked(fields)?;
        // The same key for another product is another command.
        let command = format!(r#"{{"id":{id},"quantity":{added}}}"#);
        let route = "/products/{id}/restock";
        let once = Once::of(&call.headers, call.subject(), route, command.as_bytes())?;
        let conditions = Conditions::read(&call.headers)?;
        let task = Task::Restock { id, added };
        self.once(Command { task, once, conditions, cause: call.cause(None) }).await
    }

    /// Carries `command` out once for its key, or every time without one.
    async fn once(&self, command: Command) -> Result<Response, Refusal> {
        let key = command.once.as_ref();
        // Claimed for as long as the write waits in its queue: a second call with the key meanwhile is 409, and not
        // a second product.
        let claim = key.map(|once| self.running.claim(&once.identity)).transpose()?;
        let done = self.database.write(command, |command, tx| Box::pin(carry_out(tx, command)));
        let answer = done.await;
        // From here on the row answers for the key.
        drop(claim);
        Ok(answer?.into_response(Name::Product, &self.database).await?)
    }

    async fn replace(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let fields = call.fields().await?;
        // What a PUT leaves out is empty. Of the stock that would be 0, and forgetting it must not sell a product out.
        let edit = Edit::whole(fields, &["stock"])?;
        self.change(&call, Revision::Replaced(edit)).await
    }

    async fn patch(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let fields = call.fields().await?;
        let edit = Edit::part(fields)?;
        self.change(&call, Revision::Patched(edit)).await
    }

    async fn delete(&self, call: &Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let written = self.store(call, Revision::Deleted).await?;
        let position = written.wrote.position(Name::Product, &self.database).await?;
        Ok(answers::written(empty(StatusCode::NO_CONTENT), &position))
    }

    async fn change(&self, call: &Call, change: Revision) -> Result<Response, Refusal> {
        let Written { row, wrote } = self.store(call, change).await?;
        let position = wrote.position(Name::Product, &self.database).await?;
        Ok(answers::changed(wire::ProductBody::representation(&row), &position))
    }

    /// Stores what a change makes of the product and publishes it; what is as it was publishes nothing.
    async fn store(&self, call: &Call, change: Revision) -> Result<Written<Product>, Refusal> {
        let changing = Changing {
            id: call.id()?,
            conditions: Conditions::read(&call.headers)?,
            change,
            cause: call.cause(None),
        };
        self.database.write(changing, |changing, tx| Box::pin(store_changed(tx, changing))).await
    }
}

/// What becomes of a product.
enum Revision {
    Replaced(Edit),
    Patched(Edit),
    Deleted,
}

/// A product on its way to being changed.
struct Changing {
    id: u64,
    conditions: Conditions,
    change: Revision,
    cause: Cause,
}

impl Revision {
    fn of(&self, product: &Product) -> Product {
        match self {
            Revision::Replaced(edit) => edit.clone().in_place_of(product),
            Revision::Patched(edit) => edit.clone().laid_over(product.clone()),
            // The row stays: orders go on naming it, and what it publishes is still counted on.
            Revision::Deleted => Product { deleted: true, ..product.clone() },
        }
    }
}

async fn store_changed(tx: &mut Tx<'_>, changing: &Changing) -> Result<Written<Product>, Refusal> {
    let Changing { id, conditions, change, cause } = changing;
    let before = present(store::take(tx, *id).await?)?;
    conditions.check(|| wire::ProductBody::representation(&before))?;
    let mut product = change.of(&before);
    // The same once more is no new version: its tag stays, and no page is made anew for it.
    let published = match product == before {
        true => None,
        false => Some(handlers::change(tx, &mut product, cause).await?),
    };
    let wrote = Wrote::new(&product.id, published);
    Ok(Written { row: product, wrote })
}

/// Reads the query of a search.
pub(super) fn search(query: Query) -> Result<Search<Option<String>>, Problem> {
    answers::search(query, "name", |query| query.text("name"))
}

/// A command, under a key or without one.
struct Command {
    task: Task,
    once: Option<Once>,
    conditions: Conditions,
    cause: Cause,
}

/// What is to be done once.
enum Task {
    Register { product: Product },
    Restock { id: u64, added: u64 },
}

/// Looks the key up, in the transaction that carries the command out.
async fn carry_out(tx: &mut Tx<'_>, command: &Command) -> Result<Answered, Refusal> {
    // A key that is spent refuses only where nothing else does: 404 and 412 go before its 422, so that it is
    // noted here and looked at behind them.
    let mut key = KeyState::Free;
    if let Some(once) = &command.once {
        match once.look_up(remembered::recall(tx, &once.identity).await?) {
            Lookup::Answered(before) => return Ok(Answered::before(before)),
            Lookup::Spent => key = KeyState::Spent,
            Lookup::Nothing => {}
        }
    }
    match &command.task {
        Task::Register { product } => register(tx, command, product, key).await,
        Task::Restock { id, added } => restock(tx, command, *id, *added, key).await,
    }
}

/// Whether a command's key belongs to another command already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyState {
    Free,
    Spent,
}

impl KeyState {
    /// 422 where the key is spent.
    fn check(self) -> Result<(), Problem> {
        if self == KeyState::Spent { Err(idempotency::spent()) } else { Ok(()) }
    }
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, _peer: SocketAddr) -> Response {
        self.edge.answer(&self.table, request, |action, call| self.act(action, call)).await
    }

    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        self.edge.admits(head)
    }
}

/// What a command made of a product.
struct Done {
    product: Product,
    /// Where it is, if it is new; empty otherwise.
    location: String,
    /// What says so.
    published: Published,
}

async fn register(
    tx: &mut Tx<'_>,
    command: &Command,
    product: &Product,
    key: KeyState,
) -> Result<Answered, Refusal> {
    command.conditions.check_collection()?;
    key.check()?;
    // Its id is given by the insert; the event that names it goes into the outbox of the same transaction.
    let product = Product { id: store::insert(tx, product).await?, ..product.clone() };
    let published = publish(tx, &product, &command.cause).await?;
    let location = format!("/products/{}", product.id);
    answer(tx, Done { product, location, published }, command.once.as_ref()).await
}

async fn restock(
    tx: &mut Tx<'_>,
    command: &Command,
    id: u64,
    added: u64,
    key: KeyState,
) -> Result<Answered, Refusal> {
    let mut product = present(store::take(tx, id).await?)?;
    command.conditions.check(|| wire::ProductBody::representation(&product))?;
    key.check()?;
    // Here and not where the body is read: how much there is, this transaction alone knows.
    if product.stock + added > command::STOCK_MAX {
        let reason = format!("would raise the stock above {}", command::STOCK_MAX);
        return Err(Problem::bad_field("quantity", reason).into());
    }
    let published = handlers::restock(tx, &mut product, added, &command.cause).await?;
    let done = Done { product, location: String::new(), published };
    answer(tx, done, command.once.as_ref()).await
}

/// The answer to a command, remembered where it has a key.
async fn answer(tx: &mut Tx<'_>, done: Done, once: Option<&Once>) -> Result<Answered, Refusal> {
    let Done { product, location, published } = done;
    let wrote = Wrote::new(&product.id, Some(published));
    let answer =
        Remembered::of(wire::ProductBody::representation(&product), location, &wrote, once);
    if let Some(once) = once {
        idempotency::keep(tx, once, &answer).await?;
    }
    Ok(Answered { answer, wrote: Some(wrote) })
}

/// A product that is not deleted.
fn present(product: Option<Product>) -> Result<Product, Problem> {
    product.filter(|product| !product.deleted).ok_or_else(Problem::not_found)
}

fn picture(call: &Call) -> Result<Response, Refusal> {
    let picture = pictures::find(call.params.get(0)).ok_or_else(Problem::not_found)?;
    Ok(picture.answer(&call.headers))
}
