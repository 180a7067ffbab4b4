//! Everything that the gateway answers itself: pages, lists, heads, topics and the app.

use chassis::http::Pattern;
use http::Method;
use mistakes::Mistakes;
use views::{Definitions, Page};

use super::routes::is_plain;
use super::{List, On, PageHead, PlanBuilder, Takes};
use crate::error_page::texts::Texts;
use crate::paths::{Action, Verb};
use crate::settings::{EVENTS_PATH, SCHEDULES_PATH, SUBSCRIPTIONS_PATH, Settings};

pub(super) fn compile(
    settings: &Settings,
    definitions: &Definitions,
    builder: &mut PlanBuilder,
    mistakes: &mut Mistakes,
) {
    for page in definitions.pages() {
        self::page(page, builder, mistakes);
    }
    lists(settings, builder, mistakes);
    heads(settings, builder, mistakes);
    events(settings, builder, mistakes);
    if let Some(app) = &settings.app {
        builder.plan.app = true;
        builder.plan.error_pages = app.error_pages;
        builder.plan.error_texts = app
            .error_texts
            .as_ref()
            .map(|texts| Texts::compile(texts, &mut mistakes.at(&["app", "error_texts"])));
        for text in &app.paths {
            builder.app.extend(mistakes.at(&["app", "paths"]).take(Pattern::parse(text)));
        }
    }
}

/// Topics, subscriptions and schedules.
fn events(settings: &Settings, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    let path = settings.events.as_ref().map_or(EVENTS_PATH, |events| events.path.as_str());
    builder.plan.reads_topics = settings.events.as_ref().and_then(|events| events.role.clone());
    if !is_plain(path) {
        let says = format!("one path, without parameters. path=`{path}`");
        mistakes.at(&["events", "path"]).note(says);
    }
    let events = path.trim_end_matches('/');
    let path = format!("{events}/{{topic}}");
    builder.place(On::Outer, &path, get(Action::Events), &["events", "path"], mistakes);
    traces(On::Outer, events, builder, mistakes);
    builder.plan.publishes =
        settings.events.as_ref().map(|it| it.publish.clone()).unwrap_or_default();
    let publish = || Takes { methods: Some(vec![Method::POST]), action: Action::Publish };
    builder.place(On::Outer, &path, publish(), &["events", "path"], mistakes);
    // The services of this machine are asked for no token there, for this as for anything else.
    let is_fetched = settings.events.as_ref().is_some_and(|events| events.is_fetched);
    if !builder.plan.publishes.is_empty() {
        builder.place(On::Inner, &path, publish(), &["events", "path"], mistakes);
    }
    if is_fetched || !builder.plan.publishes.is_empty() {
        builder.place(On::Inner, &path, get(Action::Events), &["events", "path"], mistakes);
        traces(On::Inner, events, builder, mistakes);
    }
    if is_fetched {
        fetches(builder, mistakes);
    }
    if settings.events.as_ref().is_some_and(|events| events.is_scheduled) {
        let path = format!("{SCHEDULES_PATH}/{{key}}");
        for on in [On::Outer, On::Inner] {
            let methods = Some(vec![Method::GET, Method::PUT, Method::DELETE]);
            let schedule = Takes { methods, action: Action::Schedule };
            builder.place(on, &path, schedule, &["events", "schedules"], mistakes);
        }
    }
}

/// Where events are lent, and answered for.
fn fetches(builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    for verb in Verb::ALL {
        let path = format!("{SUBSCRIPTIONS_PATH}/{{name}}/{}", verb.segment());
        for on in [On::Outer, On::Inner] {
            let fetch = Takes { methods: Some(vec![Method::POST]), action: Action::Fetch(verb) };
            builder.place(on, &path, fetch, &["events", "subscriptions"], mistakes);
        }
    }
}

/// Where transactions are looked for, below the events' path.
fn traces(on: On, events: &str, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    for (rest, is_split) in [("{id}", false), ("{source}/{id}", true)] {
        let path = format!("{events}/trace/{rest}");
        builder.place(on, &path, get(Action::Trace { is_split }), &["events", "path"], mistakes);
    }
}

fn page(page: &Page, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    let at = builder.plan.pages.len();
    let path = ["pages", page.name.as_str(), "path"];
    let live = format!("{}/events", page.path);
    builder.place(On::OuterAndPages, &page.path, get(Action::Page(at)), &path, mistakes);
    builder.place(On::OuterAndPages, &live, get(Action::Live(at)), &path, mistakes);
    if let Some(own) = &page.own {
        let path = ["pages", page.name.as_str(), "own"];
        builder.place(On::Outer, own, get(Action::Own(at)), &path, mistakes);
    }
    builder.plan.pages.push(page.clone());
}

fn lists(settings: &Settings, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    for (name, list) in &settings.lists {
        let at = ["lists", name, "path"];
        let params = params(&list.path);
        if params.len() > 1 {
            mistakes.at(&at).note("a list's path has one parameter, the owner, or none");
        }
        let page = find(&list.page, &["lists", name, "page"], builder, mistakes);
        let action = Action::List(builder.plan.lists.len());
        builder.place(On::OuterAndPages, &list.path, get(action), &at, mistakes);
        let named = !params.is_empty();
        builder.plan.lists.push(List { page, name: list.name.clone(), named });
    }
}

fn heads(settings: &Settings, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    for (name, head) in &settings.heads {
        let at = ["heads", name, "path"];
        let params = params(&head.path);
        if params.len() != 1 {
            mistakes.at(&at).note("a head's path has one parameter, the owner");
        }
        let page = find(&head.page, &["heads", name, "page"], builder, mistakes);
        let action = Action::Head(builder.plan.heads.len());
        builder.place(On::OuterAndPages, &head.path, get(action), &at, mistakes);
        let owner = params.first().copied().unwrap_or_default().to_owned();
        builder.plan.heads.push(PageHead { page, owner, fields: head.fields.clone() });
    }
}

fn find(name: &str, path: &[&str], builder: &PlanBuilder, mistakes: &mut Mistakes) -> usize {
    let pages = &builder.plan.pages;
    pages.iter().position(|page| page.name == name).unwrap_or_else(|| {
        mistakes.at(path).unknown("page", name, pages.iter().map(|page| page.name.as_str()));
        0
    })
}

/// The names of a path's parameters.
fn params(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn get(action: Action) -> Takes {
    Takes { methods: Some(vec![Method::GET]), action }
}
