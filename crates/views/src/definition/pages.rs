//! Pages: whose rows, under which head, by which template.

use std::collections::BTreeSet;

use mistakes::Mistakes;

use super::names::{find, find_view};
use crate::expression::is_name;
use crate::owner::Owners;
use crate::page::{self, PAGE_SIZE_MAX, Page};
use crate::render::Templates;
use crate::settings::{self, Settings};
use crate::view::{Shows, SortOrder, View};

pub(super) fn compile(
    settings: &Settings,
    views: &mut [View],
    templates: &mut Templates,
    texts: &dyn Fn(&str) -> Result<String, String>,
    mistakes: &mut Mistakes,
) -> Vec<Page> {
    let mut pages = Vec::new();
    for (name, settings) in &settings.pages {
        mistakes.under(name, |mistakes| {
            let page = one(name, pages.len(), settings, views, mistakes);
            let text = mistakes.under("template", |it| it.take(texts(&settings.template)));
            let (Some(page), Some(text)) = (page, text) else { return };
            // Rendered once without rows: a template that cannot be read or names what no page has is a mistake of the settings, found
            // here and not by the first reader.
            let tried = templates
                .add(&page, text)
                .and_then(|()| templates.attempt(&page, &page::empty(&page, views)));
            mistakes.under("template", |it| it.take(tried));
            pages.push(page);
        });
    }
    pages
}

fn one(
    name: &str,
    index: usize,
    settings: &settings::Page,
    views: &mut [View],
    mistakes: &mut Mistakes,
) -> Option<Page> {
    // Everything that can be looked at is, before the first `?`: who mends a file wants all mistakes at once.
    let owner = mistakes.under("path", |it| it.take(parameter(&settings.path)));
    check(settings, mistakes);
    let view = mistakes.under("view", |it| find_view(&settings.view, views, it));
    let head =
        settings.head.as_ref().map(|head| mistakes.under("head", |it| self::head(head, views, it)));
    let view = view?;
    let by = mistakes.under("by", |it| find(&settings.by, &views[view].columns, it));
    if by != views[view].owner {
        let owner = &views[view].columns[views[view].owner];
        mistakes
            .under("by", |it| it.note(format!("a page is by its view's owner. owner=`{owner}`")));
    }
    let order =
        mistakes.under("order", |it| order(settings.order.as_deref(), &mut views[view], it));
    // A head that is named and not found makes no page; a page without a head is one all the same.
    let head = match head {
        Some(found) => Some(found?),
        None => None,
    };
    show(settings, index, view, head, views, mistakes);
    let topics = topics(&views[..], view, head);
    Some(Page {
        name: name.to_owned(),
        path: settings.path.clone(),
        owner: owner?,
        own: settings.own.clone(),
        private: settings.private,
        size: settings.size,
        list: settings.list.clone().unwrap_or_else(|| settings.view.clone()),
        owners: settings.owners.unwrap_or_else(|| Owners::usual(settings.private)),
        topics,
        index,
        template: settings.template.clone(),
        view,
        head,
        order,
    })
}

/// What is wrong with a page whatever views there are.
fn check(settings: &settings::Page, mistakes: &mut Mistakes) {
    if !(1..=PAGE_SIZE_MAX).contains(&settings.size) {
        let says = format!("a page has 1 to {PAGE_SIZE_MAX} rows. size=`{}`", settings.size);
        mistakes.under("size", |it| it.note(says));
    }
    if settings.private && settings.owners == Some(Owners::Either) {
        let says =
            "a private page's owners are `text` or `number`: a token's subject is one of them";
        mistakes.under("owners", |it| it.note(says));
    }
}

/// The one parameter of a path.
fn parameter(path: &str) -> Result<String, String> {
    let refused = || format!("a page's path has one parameter: `/NAME/{{OWNER}}`. path=`{path}`");
    let mut named = path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    match (named.next(), named.next()) {
        (Some(name), None) if path.starts_with('/') && is_name(name) => Ok(name.to_owned()),
        _ => Err(refused()),
    }
}

fn head(name: &str, views: &[View], mistakes: &mut Mistakes) -> Option<usize> {
    let found = find_view(name, views, mistakes)?;
    if views[found].key != views[found].owner {
        mistakes.note("a head has one row for each owner: its view's key is its owner");
    }
    Some(found)
}

/// `COLUMN`, `COLUMN asc` or `COLUMN desc`.
fn order(text: Option<&str>, view: &mut View, mistakes: &mut Mistakes) -> SortOrder {
    let Some(text) = text else { return SortOrder { column: view.key, descending: false } };
    let (column, direction) = text.split_once(' ').unwrap_or((text, "asc"));
    if !matches!(direction, "asc" | "desc") {
        mistakes.unknown("direction", direction, ["asc", "desc"]);
    }
    let column = find(column, &view.columns[..view.settable], mistakes);
    // The store makes an index for each column that a page sorts by.
    if !view.sorted.contains(&column) {
        view.sorted.push(column);
    }
    SortOrder { column, descending: direction == "desc" }
}

/// Says to the views that this page shows them.
fn show(
    settings: &settings::Page,
    page: usize,
    view: usize,
    head: Option<usize>,
    views: &mut [View],
    mistakes: &mut Mistakes,
) {
    let (mut of_row, mut of_head) = (None, None);
    if let Some(live) = &settings.live {
        if live.head.is_some() && head.is_none() {
            mistakes.under("live", |it| it.under("head", |it| it.note("the page has no head")));
        }
        (of_row, of_head) = (live.row.clone(), live.head.clone());
    }
    views[view].shows.push(Shows { page, head: false, live: of_row });
    if let Some(head) = head {
        views[head].shows.push(Shows { page, head: true, live: of_head });
    }
}

/// Every topic of the views that a page shows, and of those whose rows they sum.
fn topics(views: &[View], view: usize, head: Option<usize>) -> BTreeSet<String> {
    let shown = |at: usize| at == view || Some(at) == head;
    let read = views
        .iter()
        .enumerate()
        // A view that adds its rows up in one of the shown changes the page, too, although it is not on it.
        .filter(|(at, other)| shown(*at) || other.feeds.iter().any(|feeds| shown(feeds.view)));
    read.flat_map(|(_, view)| view.topics.iter().cloned()).collect()
}
