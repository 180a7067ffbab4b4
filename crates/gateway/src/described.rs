//! What is at each path of the outer listener, for a description of the whole: the route table says
//! which paths and who may, the gateway what it answers itself, and whoever knows a service what that
//! does.
//!
//! Shapes are those of what is written: pages and events are described by examples that their own writers write
//! (`page`, `batch`).

mod batch;
mod page;

use chassis::http::fields::Form;
use chassis::http::query::Query;
use chassis::openapi::operation::{Operation, Shape};
use chassis::openapi::{Access, Item};
use http::Method;
use serde_json::json;
use views::Definitions;

use self::page::PageShapes;
use crate::app::{AppFiles, PathKind};
use crate::credentials::credentials;
use crate::pages::{lists, slice_of};
use crate::paths::{Action, Verb};
use crate::plan::Plan;
use crate::publishing::body::STRUCTURED;
use crate::pulling::said;
use crate::scheduling::said as scheduled;
use crate::topics;
use crate::traces;

/// Whom the paths are tagged with that the gateway answers itself.
const TAG: &str = "gateway";
const HTML: &str = "text/html";

/// What the service behind the upstream `name` does there, if anybody knows.
pub type OperationLookup<'k> = dyn Fn(&str, &Method, &str) -> Option<Operation> + 'k;

/// Everything that the outer listener answers, by path.
pub fn items(
    plan: &Plan,
    definitions: &Definitions,
    app: &AppFiles,
    known: &OperationLookup<'_>,
) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for entry in plan.outer.entries() {
        let path = entry.pattern.to_string();
        // An open end that has a name: `/x` alone is there too, and says no more.
        for method in entry.methods.as_deref().unwrap_or(&[]).iter().filter(|it| is_shown(it)) {
            let operation = operation(plan, definitions, entry.action, method, &path, known);
            let (tag, access) = (tag(plan, entry.action), access(plan, entry.action, method));
            items.push(Item { path: path.clone(), method: method.clone(), tag, access, operation });
        }
        if entry.methods.is_none() {
            items.extend(every_method(plan, entry.action, &path));
        }
    }
    for pattern in plan.outer.app() {
        show_app(&mut items, &pattern.to_string());
    }
    if plan.app {
        items.extend(app.kinds().map(|PathKind { path, kind }| file(path, kind)));
    }
    items
}

/// A route that takes every method, which only its service knows.
fn every_method(plan: &Plan, action: Action, path: &str) -> Vec<Item> {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let item = |method: Method| Item {
        path: path.to_owned(),
        tag: tag(plan, action),
        access: access(plan, action, &method),
        operation: passed_on(plan, action),
        method,
    };
    methods.into_iter().map(item).collect()
}

/// HEAD goes with GET; what is no method of OpenAPI is left out.
fn is_shown(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS
    )
}

fn tag(plan: &Plan, action: Action) -> String {
    match action {
        Action::Proxy(route) => plan.upstreams[plan.routes[route].upstream].name.clone(),
        _ => TAG.to_owned(),
    }
}

fn access(plan: &Plan, action: Action, method: &Method) -> Access {
    let page = |at: usize| match plan.pages[at].private {
        true => Access::SignedIn(None),
        false => Access::Everybody,
    };
    match action {
        Action::Proxy(at) => {
            let route = &plan.routes[at];
            let free = route.signed_in.contains(method);
            match route.open.to(method) {
                true => Access::Everybody,
                // Methods for which any role will do need a token all the same.
                false => {
                    let role = route.role.as_ref().filter(|_| !free);
                    Access::SignedIn(role.map(|it| it.as_str().to_owned()))
                }
            }
        }
        Action::Page(at) | Action::Live(at) => page(at),
        Action::Head(at) => page(plan.heads[at].page),
        Action::List(at) if plan.lists[at].named => page(plan.lists[at].page),
        Action::List(_) | Action::Own(_) => Access::SignedIn(None),
        Action::Events | Action::Trace { .. } | Action::Fetch(_) | Action::Schedule => {
            Access::SignedIn(plan.reads_topics.as_ref().map(|it| it.as_str().to_owned()))
        }
        // Each topic has a role of its own.
        Action::Publish => Access::SignedIn(None),
        Action::Session => Access::Everybody,
    }
}

fn operation(
    plan: &Plan,
    definitions: &Definitions,
    action: Action,
    method: &Method,
    path: &str,
    known: &OperationLookup<'_>,
) -> Operation {
    let shapes = |page| PageShapes::new(definitions, page);
    match action {
        Action::Proxy(_) => {
            let service = tag(plan, action);
            known(&service, method, path).unwrap_or_else(|| passed_on(plan, action))
        }
        Action::Page(at) => {
            let page = &plan.pages[at];
            Operation::new("An owner's page, as data or as HTML")
                .query(Query::asked(|query| slice_of(page, query)))
                .read(shapes(page).page())
                .bytes(HTML)
        }
        Action::Live(_) => Operation::new("What changes of a page, as it changes (live updates)")
            .bytes("text/event-stream"),
        Action::Own(_) => Operation::new("One's own page").bytes(HTML).empty("304"),
        Action::List(at) => {
            let list = &plan.lists[at];
            Operation::new("A page's rows").list(
                Query::asked(lists::slice),
                shapes(&plan.pages[list.page]).row().listed(&list.name),
            )
        }
        Action::Head(at) => {
            let head = &plan.heads[at];
            let shown = shapes(&plan.pages[head.page]).head(head);
            Operation::new("A page's head").shows("200", shown)
        }
        // Its reader itself says what it looks for: given an empty query, it notes the names.
        Action::Events => Operation::new("The events of a topic after a position (CloudEvents)")
            .query(Query::asked(|mut query| drop(topics::batch(&mut query))))
            .shows_as("200", topics::BATCH_TYPE, batch::events()),
        Action::Trace { .. } => Operation::new(
            "One business transaction: the events of a correlation, each behind its cause",
        )
        .query(Query::asked(|mut query| drop(traces::wanted("", &mut query))))
        .shows("200", batch::trace()),
        Action::Publish => publish(),
        Action::Fetch(verb) => fetch(verb),
        Action::Schedule => schedule(method),
        Action::Session => session(method),
    }
}

/// Publishing, in the three modes of CloudEvents.
fn publish() -> Operation {
    let event = batch::event_of(&["specversion", "id", "source", "type"]);
    let position = json!({
        "type": "object",
        "properties": { "position": { "type": "string" } },
        "required": ["position"],
        "additionalProperties": false,
    });
    Operation::new("Publishes events to a topic (CloudEvents; in binary mode any media type, with `ce-` headers)")
        .takes(STRUCTURED, event.clone())
        .takes(topics::BATCH_TYPE, json!({ "type": "array", "items": event }))
        .takes("*/*", json!({}))
        .shows("200", Shape::foreign("Published", position))
}

/// Events that are fetched, and what is said of them.
fn fetch(verb: Verb) -> Operation {
    let answered = || {
        let shape = json!({
            "type": "object",
            "properties": {
                (verb.done()): { "type": "integer", "minimum": 0 },
                "unknown": { "type": "array", "items": { "type": "string" } },
            },
            "required": [verb.done(), "unknown"],
            "additionalProperties": false,
        });
        Shape::foreign(if verb == Verb::Reject { "Rejected" } else { "Acknowledged" }, shape)
    };
    match verb {
        Verb::Pull => Operation::new("Lends events of a subscription (CloudEvents), under the lease that `Yeoul-Lease` names")
            .json(said::pulled())
            .shows_as("200", topics::BATCH_TYPE, batch::lent()),
        Verb::Acknowledge => Operation::new("Acknowledges events of a lease, all that are left of it without `ids`")
            .json(said::acknowledged())
            .shows("200", answered()),
        Verb::Reject => Operation::new("Rejects events of a lease: they are tried again, or become dead letters")
            .json(said::rejected())
            .shows("200", answered()),
    }
}

/// An event that is published at a time to come.
fn schedule(method: &Method) -> Operation {
    let shape = || Shape::foreign("Schedule", scheduled::shape());
    match *method {
        Method::PUT => Operation::new(
            "Publishes an event at a time to come: at a moment, after a while, or again and again",
        )
        .json(scheduled::asked())
        .shows("200", shape())
        .shows("201", shape()),
        Method::DELETE => Operation::new("Takes back what was to be published").empty("204"),
        _ => Operation::new("What is to be published, when, and when it was last")
            .shows("200", shape()),
    }
}

/// What nobody here knows more of.
fn passed_on(plan: &Plan, action: Action) -> Operation {
    Operation::new(format!("Passed on to {}", tag(plan, action))).anything()
}

fn session(method: &Method) -> Operation {
    match *method {
        Method::POST => Operation::new("Signs in by cookie")
            .form(Form::asked(|form| drop(credentials(form))))
            .empty("204"),
        Method::PUT => Operation::new("Renews the sign-in of a cookie").empty("204"),
        _ => Operation::new("Signs out").empty("204"),
    }
}

/// Adds the app's page to what is at a path.
fn show_app(items: &mut Vec<Item>, path: &str) {
    if let Some(item) = items.iter_mut().find(|item| item.is(&Method::GET, path)) {
        item.operation = item.operation.clone().bytes(HTML).empty("304");
        return;
    }
    items.push(file(path, HTML));
}

/// A file that everybody may read.
fn file(path: &str, kind: &str) -> Item {
    let kind = kind.split(';').next().unwrap_or_default().to_owned();
    let operation = Operation::new("The web app").bytes(kind).empty("304");
    let (path, tag) = (path.to_owned(), TAG.to_owned());
    Item { path, method: Method::GET, tag, access: Access::Everybody, operation }
}
