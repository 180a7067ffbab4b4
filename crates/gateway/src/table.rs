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
use chassis::http::{Path, Pattern, method};
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
    /// A pattern has the path, but without its trailing slash it is a more exact entry's: a service
    /// that ignores the slash would do what that entry guards. Nothing is there (404).
    Slashed(Action),
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
    /// Methods that entries name.
    named: Vec<Method>,
}

/// The methods of an entry that names none.
pub(crate) const USUAL: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

impl Entry {
    /// Whether the entry answers this method.
    pub(crate) fn takes(&self, method: &Method) -> bool {
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
        let named = entries.iter().filter_map(|(_, entry)| entry.methods.clone()).flatten();
        Table { by_first: by_first.collect(), rest: under(None), app, named: named.collect() }
    }

    /// Whether it is a method that entries name, but for its case: 400, as for those that everybody
    /// knows.
    pub(crate) fn is_miscased(&self, method: &Method) -> bool {
        method::is_miscased_of(method, self.named.iter().map(Method::as_str))
    }

    /// Looks a request up.
    pub(crate) fn find(&self, path: &Path<'_>, method: &Method) -> Found {
        let first = path.segments().first();
        let entries = first.and_then(|first| self.by_first.get(first.as_ref()));
        let entries = entries.unwrap_or(&self.rest);
        let mut wrong: Option<(&Entry, Vec<Method>)> = None;
        for entry in entries {
            let Some(params) = entry.pattern.matches(path) else { continue };
            if entry.takes(method) {
                let slashed = is_slashed(entries, path, entry);
                let action = entry.action;
                return if slashed {
                    Found::Slashed(action)
                } else {
                    Found::Action(action, params)
                };
            }
            let (_, allowed) = wrong.get_or_insert_with(|| (entry, Vec::new()));
            allow(allowed, entry.methods.as_deref().unwrap_or(&USUAL));
        }
        match wrong {
            None => Found::Nothing,
            Some((entry, _)) if is_slashed(entries, path, entry) => Found::Slashed(entry.action),
            Some((entry, allowed)) => Found::WrongMethod(entry.action, allowed),
        }
    }

    /// Whether the app's page is here.
    pub(crate) fn is_app(&self, path: &Path<'_>) -> bool {
        self.app.iter().any(|pattern| pattern.matches(path).is_some())
    }
}

/// Whether a trailing slash alone keeps the path from an entry more exact than the one found.
fn is_slashed(entries: &[Entry], path: &Path<'_>, found: &Entry) -> bool {
    let Some(bare) = path.without_slash() else { return false };
    let more_exact = entries.iter().take_while(|it| it.pattern.rank() > found.pattern.rank());
    let has = |pattern: &Pattern, path: &Path<'_>| pattern.matches(path).is_some();
    more_exact.into_iter().any(|it| has(&it.pattern, &bare) && !has(&it.pattern, path))
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
            Found::Slashed(_) => "slashed".to_owned(),
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
    fn a_trailing_slash_leads_past_no_more_exact_entry() {
        let (get, post) = ([Method::GET], [Method::POST]);
        let table = table(&[
            ("/x/**", None),
            ("/x/admin", None),
            ("/x/items", Some(&post)),
            ("/x/{id}/parts", Some(&get)),
            ("/x/open/**", Some(&get)),
            ("/y/**", Some(&get)),
            ("/y/{id}", Some(&post)),
            ("/{any}/z", None),
            ("/**", None),
        ]);
        let cases = [
            (Method::GET, "/x/admin", "1"),
            (Method::GET, "/x/admin/", "slashed"),
            (Method::POST, "/x/%61dmin/", "slashed"),
            (Method::GET, "/x/admin/deeper/", "0"),
            (Method::GET, "/x/other/", "0"),
            // Whatever the method: who ignores the slash may ignore more.
            (Method::GET, "/x/items", "0"),
            (Method::GET, "/x/items/", "slashed"),
            (Method::POST, "/x/items/", "slashed"),
            (Method::GET, "/x/7/parts/", "slashed"),
            (Method::GET, "/x/7/parts/1/", "0"),
            // A pattern that has both is passed by neither.
            (Method::GET, "/x/open/", "4"),
            (Method::POST, "/x/open/", "0"),
            (Method::GET, "/x/", "0"),
            (Method::GET, "/y/7/", "slashed"),
            (Method::POST, "/y/7/", "slashed"),
            (Method::GET, "/y/", "5"),
            (Method::GET, "/a/z/", "slashed"),
            (Method::GET, "/a/b/", "8"),
            (Method::GET, "/", "8"),
        ];
        for (method, raw, expected) in cases {
            assert_eq!(find(&table, &method, raw), expected, "{method} {raw}");
        }
    }

    #[test]
    fn a_method_that_is_named_is_known_in_its_own_case_alone() {
        let purge = Method::from_bytes(b"PURGE").expect("a method");
        let table = table(&[("/x", Some(&[purge])), ("/**", None)]);
        let miscased =
            |text: &str| table.is_miscased(&Method::from_bytes(text.as_bytes()).expect("a method"));
        assert!(miscased("purge") && miscased("Purge"));
        assert!(!miscased("PURGE") && !miscased("report") && !miscased("REPORT"));
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
