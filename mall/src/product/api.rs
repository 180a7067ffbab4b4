//! Product's port: products are read, registered, changed and deleted; pictures.

use std::net::SocketAddr;
use std::rc::Rc;

use chassis::http::hal::Slice;
use chassis::http::query::Query;
use chassis::http::router::{Router, Row};
use chassis::http::{Problem, Request, Response, Serve, empty};
use events::store::Write;
use events::{Database, Numbered};
use http::StatusCode;
use http::request::Parts;

use super::command::{self, Edit};
use super::handlers::{self, change, publish};
use super::model::Product;
use super::store;
use super::wire;
use crate::components::Components;
use crate::condition::{Conditions, Keep};
use crate::edge::{self, Call, Edge, Filter, Refusal, Written};
use crate::idempotency::store as remembered;
use crate::idempotency::{self, Once, Remembered, Running, Seen};
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
pub(super) fn rows() -> Vec<Row<Action>> {
    let mut rows = vec![
        Row::get("/product/{id}", Action::Read),
        Row::get("/goods/img/{name}", Action::Picture),
    ];
    for [all, one, restock, search] in COLLECTIONS {
        rows.extend([
            Row::get(all, Action::List),
            Row::post(all, Action::Register),
            Row::get(one, Action::Read),
            Row::put(one, Action::Replace),
            Row::patch(one, Action::Patch),
            Row::delete(one, Action::Delete),
            Row::post(restock, Action::Restock),
            Row::get(search, Action::FindByName),
        ]);
    }
    rows
}

impl Server {
    pub(super) fn new(
        components: &Components,
        database: Database,
        running: Running,
        address: SocketAddr,
    ) -> Server {
        let edge = Edge::new(Name::Product, components, address);
        Server { edge, table: Router::of(rows()), database, running }
    }

    async fn act(&self, action: Action, call: Call) -> Result<Response, Refusal> {
        match action {
            Action::List => self.list(&call),
            Action::FindByName => self.find_by_name(&call),
            Action::Read => self.read(&call),
            Action::Picture => picture(&call),
            Action::Register => self.register(call).await,
            Action::Replace => self.replace(call).await,
            Action::Patch => self.patch(call).await,
            Action::Delete => self.delete(&call).await,
            Action::Restock => self.restock(call).await,
        }
    }

    fn list(&self, call: &Call) -> Result<Response, Refusal> {
        self.listed(None, edge::slice(call.query()?)?, "/products")
    }

    fn find_by_name(&self, call: &Call) -> Result<Response, Refusal> {
        let Search { name, slice } = search(call.query()?)?;
        self.listed(name.as_deref(), slice, "/products/search/findByName")
    }

    fn listed(&self, name: Option<&str>, slice: Slice, path: &str) -> Result<Response, Refusal> {
        self.database.read(|rows| {
            let products = store::list(rows, name, slice)?;
            let filter = name.map(|value| Filter { name: "name", value });
            Ok(edge::list("products", &products.map(wire::ProductBody::of), slice, path, filter))
        })
    }

    fn read(&self, call: &Call) -> Result<Response, Refusal> {
        let id = call.id()?;
        self.database.read(|rows| {
            let product = present(store::find(rows, id)?)?;
            Ok(wire::ProductBody::representation(&product)
                .answer(&call.headers, Keep::Everybody)?)
        })
    }

    async fn register(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let (fields, body) = call.fields().await?;
        let product = Edit::whole(fields, &[])?.into_product();
        let once = Once::of(&call.headers, call.subject(), "/products", &body)?;
        let conditions = Conditions::read(&call.headers)?;
        let cause = call.cause(None);
        self.once(once, move |write, key| {
            conditions.check_collection()?;
            key.check()?;
            register(write, product, key.once, &cause)
        })
        .await
    }

    async fn restock(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let id = call.id()?;
        let (fields, _) = call.fields().await?;
        let added = command::restocked(fields)?;
        // The same key for another product is another command.
        let command = format!(r#"{{"id":{id},"quantity":{added}}}"#);
        let route = "/products/{id}/restock";
        let once = Once::of(&call.headers, call.subject(), route, command.as_bytes())?;
        let conditions = Conditions::read(&call.headers)?;
        let cause = call.cause(None);
        self.once(once, move |write, key| {
            let product = present(store::find(write.sql(), id)?)?;
            conditions.check(|| wire::ProductBody::representation(&product))?;
            key.check()?;
            restock(write, Arrival { product, added }, key.once, &cause)
        })
        .await
    }

    /// Carries `command` out once for its key, or every time without one.
    async fn once(
        &self,
        once: Option<Once>,
        command: impl FnOnce(&mut Write<'_>, Key<'_>) -> Result<Remembered, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let claim = once.as_ref().map(|once| self.running.claim(&once.identity)).transpose()?;
        let done = self.database.write(move |write| {
            let Some(once) = &once else { return command(write, Key::default()) };
            match once.seen(remembered::recall(write.sql(), &once.identity)?) {
                Seen::Answered(before) => Ok(before),
                seen => {
                    let spent = matches!(seen, Seen::Spent);
                    command(write, Key { once: Some(once), spent })
                }
            }
        });
        let answer: Result<Remembered, Refusal> = done.await;
        drop(claim);
        Ok(answer?.into_response())
    }

    async fn replace(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let (fields, _) = call.fields().await?;
        let edit = Edit::whole(fields, &["stock"])?;
        self.change(&call, move |product| edit.in_place_of(product)).await
    }

    async fn patch(&self, mut call: Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let (fields, _) = call.fields().await?;
        let edit = Edit::part(fields)?;
        self.change(&call, move |product| edit.laid_over(product.clone())).await
    }

    async fn delete(&self, call: &Call) -> Result<Response, Refusal> {
        call.require_administrator()?;
        let deleted = |product: &Product| Product { deleted: true, ..product.clone() };
        let written = self.store(call, deleted).await?;
        Ok(edge::written(empty(StatusCode::NO_CONTENT), &written.position))
    }

    async fn change(
        &self,
        call: &Call,
        to: impl FnOnce(&Product) -> Product + Send + 'static,
    ) -> Result<Response, Refusal> {
        let Written { row, position } = self.store(call, to).await?;
        Ok(edge::changed(wire::ProductBody::representation(&row), &position))
    }

    /// Stores what `to` makes of the product and publishes it; what is as it was publishes nothing.
    async fn store(
        &self,
        call: &Call,
        to: impl FnOnce(&Product) -> Product + Send + 'static,
    ) -> Result<Written<Product>, Refusal> {
        let id = call.id()?;
        let conditions = Conditions::read(&call.headers)?;
        let cause = call.cause(None);
        let stored = self.database.write(move |write| {
            let before = present(store::find(write.sql(), id)?)?;
            conditions.check(|| wire::ProductBody::representation(&before))?;
            let mut product = to(&before);
            let sequence = if product == before {
                write.last_sequence(&product.id.to_string())
            } else {
                change(write, &mut product, &cause)?
            };
            let position = edge::position(Name::Product, &product.id, sequence);
            Ok::<_, Refusal>(Written { row: product, position })
        });
        stored.await
    }
}

/// What is searched for.
pub(super) struct Search {
    name: Option<String>,
    slice: Slice,
}

/// Reads the query of a search.
pub(super) fn search(mut query: Query) -> Result<Search, Problem> {
    let slice = Slice::from_query(&mut query);
    let name = query.text("name");
    if query.get("name").is_none() {
        query.note("name", "is missing");
    }
    query.finish()?;
    Ok(Search { name, slice })
}

/// The key that a command is carried out under, if any.
#[derive(Default)]
struct Key<'o> {
    once: Option<&'o Once>,
    /// Whether it belongs to another command already.
    spent: bool,
}

impl Key<'_> {
    /// 422 where the key is spent.
    fn check(&self) -> Result<(), Problem> {
        if self.spent { Err(idempotency::spent()) } else { Ok(()) }
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

/// Pieces that arrived of a product.
struct Arrival {
    product: Product,
    added: u64,
}

/// What a command made of a product.
struct Done {
    product: Product,
    /// Where it is, if it is new; empty otherwise.
    location: String,
    /// Of the outbox.
    sequence: Numbered,
}

fn register(
    write: &mut Write<'_>,
    mut product: Product,
    once: Option<&Once>,
    cause: &events::Cause,
) -> Result<Remembered, Refusal> {
    product.id = store::insert(write.sql(), &product)?;
    let sequence = publish(write, &product, cause)?;
    let location = format!("/products/{}", product.id);
    answer(write, Done { product, location, sequence }, once)
}

fn restock(
    write: &mut Write<'_>,
    arrival: Arrival,
    once: Option<&Once>,
    cause: &events::Cause,
) -> Result<Remembered, Refusal> {
    let Arrival { mut product, added } = arrival;
    if product.stock + added > command::STOCK_MAX {
        let reason = format!("would raise the stock above {}", command::STOCK_MAX);
        return Err(Problem::bad_field("quantity", reason).into());
    }
    let sequence = handlers::restock(write, &mut product, added, cause)?;
    answer(write, Done { product, location: String::new(), sequence }, once)
}

/// The answer to a command, remembered where it has a key.
fn answer(write: &mut Write<'_>, done: Done, once: Option<&Once>) -> Result<Remembered, Refusal> {
    let Done { product, location, sequence } = done;
    let position = edge::position(Name::Product, &product.id, sequence);
    let answer =
        Remembered::of(wire::ProductBody::representation(&product), location, position, once);
    if let Some(once) = once {
        remembered::remember(write.sql(), once, &answer)?;
    }
    Ok(answer)
}

/// A product that is not deleted.
fn present(product: Option<Product>) -> Result<Product, Problem> {
    product.filter(|product| !product.deleted).ok_or_else(Problem::not_found)
}

fn picture(call: &Call) -> Result<Response, Refusal> {
    let picture = pictures::find(call.params.get(0)).ok_or_else(Problem::not_found)?;
    Ok(picture.answer(&call.headers))
}
