//! The table of paths: what is at a path for a method, found by the path's first segment.
//!
//! The most exact pattern that takes the method answers. Looking up costs the same for one route as
//! for a thousand: entries lie under their first literal segment, those that begin with a name lie
//! under every one.
//!
//! It does not know who asks: what is open to whom, the entry's action knows.

use std::cmp::Reverse;
use std::collections::HashMap;

use chassis::http::path::Params;
use chassis::http::{Path, Pattern};
use http::Method;

/// What is done at a path; numbers are places in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Passed on through a route's guards.
    Proxy(usize),
    /// An owner's page.
    Page(usize),
    /// An owner's live updates.
    Live(usize),
    /// The signed-in owner's page where the app is shown to others.
    Own(usize),
    /// A page's rows as a list.
    List(usize),
    /// A page's head.
    Head(usize),
    /// A topic's events.
    Events,
    /// Sign-in by cookie.
    Session,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) pattern: Pattern,
    /// All but TRACE and CONNECT where there is none.
    pub(crate) methods: Option<Vec<Method>>,
    pub(crate) action: Action,
}

/// What the table says.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Action(Action, Params),
    /// The path is known, the method is not; one of the entries that have the path.
    WrongMethod(Action, Vec<Method>),
    Nothing,
}

/// A listener's paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    by_first: HashMap<Box<str>, Vec<Entry>>,
    /// Those that begin with a name or with nothing.
    rest: Vec<Entry>,
    /// Where the app's page is.
    app: Vec<Pattern>,
}

const USUAL: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

impl Entry {
    fn takes(&self, method: &Method) -> bool {
        match &self.methods {
            None => !matches!(*method, Method::TRACE | Method::CONNECT),
            Some(methods) if method == Method::HEAD => {
                methods.contains(method) || methods.contains(&Method::GET)
            }
            Some(methods) => methods.contains(method),
        }
    }

    /// Whether both could answer one request, neither being more exact.
    pub(crate) fn collides(&self, other: &Entry) -> bool {
        self.pattern.rank() == other.pattern.rank()
            && self.pattern.overlaps(&other.pattern)
            && match (&self.methods, &other.methods) {
                (Some(own), Some(others)) => own.iter().any(|method| others.contains(method)),
                _ => true,
            }
    }
}

impl Table {
    /// A table of entries with the text of their patterns.
    pub(crate) fn new(mut entries: Vec<(String, Entry)>, app: Vec<Pattern>) -> Table {
        entries.sort_by_key(|(_, entry)| Reverse(entry.pattern.rank()));
        let firsts: Vec<Option<&str>> = entries.iter().map(|(text, _)| first(text)).collect();
        let under = |key: Option<&str>| -> Vec<Entry> {
            let fits = |at: &usize| firsts[*at].is_none() || firsts[*at] == key;
            (0..entries.len()).filter(fits).map(|at| entries[at].1.clone()).collect()
        };
        let by_first = firsts.iter().flatten().map(|key| ((*key).into(), under(Some(key))));
        Table { by_first: by_first.collect(), rest: under(None), app }
    }

    /// Looks a request up.
    pub(crate) fn find(&self, path: &Path<'_>, method: &Method) -> Found {
        let first = path.segments().first();
        let entries = first.and_then(|first| self.by_first.get(first.as_ref()));
        let mut wrong: Option<(Action, Vec<Method>)> = None;
        for entry in entries.unwrap_or(&self.rest) {
            let Some(params) = entry.pattern.matches(path) else { continue };
            if entry.takes(method) {
                return Found::Action(entry.action, params);
            }
            let (_, allowed) = wrong.get_or_insert_with(|| (entry.action, Vec::new()));
            allow(allowed, entry.methods.as_deref().unwrap_or(&USUAL));
        }
        wrong.map_or(Found::Nothing, |(action, allowed)| Found::WrongMethod(action, allowed))
    }

    /// Whether the app's page is here.
    pub(crate) fn is_app(&self, path: &Path<'_>) -> bool {
        self.app.iter().any(|pattern| pattern.matches(path).is_some())
    }
}

/// Adds `methods` to those allowed, HEAD with GET.
pub(crate) fn allow(allowed: &mut Vec<Method>, methods: &[Method]) {
    for method in methods {
        let head = (*method == Method::GET).then_some(Method::HEAD);
        for method in [method.clone()].into_iter().chain(head) {
            if !allowed.contains(&method) {
                allowed.push(method);
            }
        }
    }
}

/// The literal that a pattern's text begins with.
fn first(text: &str) -> Option<&str> {
    let part = text.strip_prefix('/')?.split('/').next()?;
    (!part.is_empty() && part != "**" && !part.starts_with('{')).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, Option<&[Method]>)]) -> Table {
        let entry = |(at, (text, methods)): (usize, &(&str, Option<&[Method]>))| {
            let pattern = Pattern::parse(text).expect("a pattern");
            let methods = methods.map(<[Method]>::to_vec);
            ((*text).to_owned(), Entry { pattern, methods, action: Action::Proxy(at) })
        };
        Table::new(rows.iter().enumerate().map(entry).collect(), Vec::new())
    }

    fn find(table: &Table, method: &Method, raw: &str) -> String {
        match table.find(&Path::parse(raw).expect("a path"), method) {
            Found::Action(Action::Proxy(at), _) => at.to_string(),
            Found::WrongMethod(_, allowed) => format!("{allowed:?}"),
            Found::Nothing => "nothing".to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_most_exact_entry_that_takes_the_method_answers() {
        let table = table(&[
            ("/orders/**", None),
            ("/orders/{id}", Some(&[Method::GET])),
            ("/orders/search", Some(&[Method::POST])),
            ("/{any}/search", Some(&[Method::GET])),
            ("/", Some(&[Method::GET])),
        ]);
        let cases = [
            (Method::GET, "/orders", "0"),
            (Method::GET, "/orders/7", "1"),
            (Method::HEAD, "/orders/7", "1"),
            (Method::PUT, "/orders/7", "0"),
            (Method::POST, "/orders/search", "2"),
            (Method::GET, "/orders/search", "1"),
            (Method::GET, "/products/search", "3"),
            (Method::GET, "/", "4"),
            (Method::TRACE, "/orders", "[GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]"),
            (Method::PUT, "/", "[GET, HEAD]"),
            (Method::GET, "/nowhere", "nothing"),
            (Method::GET, "/orders/", "0"),
            (Method::GET, "/ORDERS", "nothing"),
        ];
        for (method, raw, expected) in cases {
            assert_eq!(find(&table, &method, raw), expected, "{method} {raw}");
        }
    }

    #[test]
    fn entries_collide_where_neither_is_more_exact() {
        let entry = |text: &str, methods: &[Method]| Entry {
            pattern: Pattern::parse(text).expect("a pattern"),
            methods: (!methods.is_empty()).then(|| methods.to_vec()),
            action: Action::Events,
        };
        let (get, post) = ([Method::GET], [Method::POST]);
        let cases = [
            (entry("/a/**", &[]), entry("/a/**", &get), true),
            (entry("/a/**", &post), entry("/a/**", &get), false),
            (entry("/a/{x}", &get), entry("/{y}/b", &get), true),
            (entry("/a/{x}", &get), entry("/a/b", &get), false),
            (entry("/a", &[]), entry("/b", &[]), false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(one.collides(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.collides(&one), expected, "{other:?} {one:?}");
        }
    }
}
