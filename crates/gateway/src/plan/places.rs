//! Everything that the gateway answers itself: pages, lists, heads, topics and the app.

use chassis::http::Pattern;
use http::Method;
use mistakes::Mistakes;
use views::{Definitions, Page};

use super::routes::is_plain;
use super::{Draft, List, On, PageHead, Takes};
use crate::error_page::texts::Texts;
use crate::paths::Action;
use crate::settings::{EVENTS_PATH, Settings};

pub(super) fn compile(
    settings: &Settings,
    definitions: &Definitions,
    draft: &mut Draft,
    mistakes: &mut Mistakes,
) {
    for page in definitions.pages() {
        self::page(page, draft, mistakes);
    }
    lists(settings, draft, mistakes);
    heads(settings, draft, mistakes);
    let events = settings.events.as_ref().map_or(EVENTS_PATH, |events| events.path.as_str());
    draft.plan.reads_topics = settings.events.as_ref().and_then(|events| events.role.clone());
    if !is_plain(events) {
        let says = format!("one path, without parameters. path=`{events}`");
        mistakes.at(&["events", "path"]).note(says);
    }
    let path = format!("{}/{{topic}}", events.trim_end_matches('/'));
    draft.place(On::Outer, &path, get(Action::Events), &["events", "path"], mistakes);
    if let Some(app) = &settings.app {
        draft.plan.app = true;
        draft.plan.error_pages = app.error_pages;
        draft.plan.error_texts = app
            .error_texts
            .as_ref()
            .map(|texts| Texts::compile(texts, &mut mistakes.at(&["app", "error_texts"])));
        for text in &app.paths {
            draft.app.extend(mistakes.at(&["app", "paths"]).take(Pattern::parse(text)));
        }
    }
}

fn page(page: &Page, draft: &mut Draft, mistakes: &mut Mistakes) {
    let at = draft.plan.pages.len();
    let path = ["pages", page.name.as_str(), "path"];
    let live = format!("{}/events", page.path);
    draft.place(On::OuterAndPages, &page.path, get(Action::Page(at)), &path, mistakes);
    draft.place(On::OuterAndPages, &live, get(Action::Live(at)), &path, mistakes);
    if let Some(own) = &page.own {
        let path = ["pages", page.name.as_str(), "own"];
        draft.place(On::Outer, own, get(Action::Own(at)), &path, mistakes);
    }
    draft.plan.pages.push(page.clone());
}

fn lists(settings: &Settings, draft: &mut Draft, mistakes: &mut Mistakes) {
    for (name, list) in &settings.lists {
        let at = ["lists", name, "path"];
        let params = params(&list.path);
        if params.len() > 1 {
            mistakes.at(&at).note("a list's path has one parameter, the owner, or none");
        }
        let page = find(&list.page, &["lists", name, "page"], draft, mistakes);
        let action = Action::List(draft.plan.lists.len());
        draft.place(On::OuterAndPages, &list.path, get(action), &at, mistakes);
        let named = !params.is_empty();
        draft.plan.lists.push(List { page, name: list.name.clone(), named });
    }
}

fn heads(settings: &Settings, draft: &mut Draft, mistakes: &mut Mistakes) {
    for (name, head) in &settings.heads {
        let at = ["heads", name, "path"];
        let params = params(&head.path);
        if params.len() != 1 {
            mistakes.at(&at).note("a head's path has one parameter, the owner");
        }
        let page = find(&head.page, &["heads", name, "page"], draft, mistakes);
        let action = Action::Head(draft.plan.heads.len());
        draft.place(On::OuterAndPages, &head.path, get(action), &at, mistakes);
        let owner = params.first().copied().unwrap_or_default().to_owned();
        draft.plan.heads.push(PageHead { page, owner, fields: head.fields.clone() });
    }
}

fn find(name: &str, path: &[&str], draft: &Draft, mistakes: &mut Mistakes) -> usize {
    let pages = &draft.plan.pages;
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
