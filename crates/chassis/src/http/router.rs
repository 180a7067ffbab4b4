//! The router: what is at a path for a method, found by the path's first segment.
//!
//! The most exact pattern that takes the method answers. Looking up costs the same for one route as
//! for a thousand: entries lie under their first literal segment, those that begin with a name lie
//! under every one. One router serves a listener, whether its routes are constants of the program
//! ([`Router::of`]) or compiled from settings ([`Router::new`]).
//!
//! It does not know who asks: what is open to whom, the entry's action knows.

use std::cmp::Reverse;
use std::collections::HashMap;

use http::Method;

use super::method;
use super::path::{Params, Path, Pattern};

/// One entry of a router.
#[derive(Clone, Debug)]
pub struct Entry<A> {
    /// Where it is.
    pub pattern: Pattern,
    /// What it answers, HEAD with GET; [`USUAL`] where there is none.
    pub methods: Option<Vec<Method>>,
    /// What is done there.
    pub action: A,
}

/// A route that is a constant of the program: what is done at a path for one method.
#[derive(Clone, Debug)]
pub struct Route<A> {
    /// Its pattern, names in braces.
    pub path: &'static str,
    /// The method, HEAD with GET.
    pub method: Method,
    /// What is done there.
    pub action: A,
}

/// What a router says of a path and a method.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<A> {
    /// The most exact entry that takes the method, and what its pattern's names stand for.
    Action(A, Params),
    /// The path is known, the method is not: 405 with these; one of the entries that have the path.
    WrongMethod(A, Vec<Method>),
    /// A pattern has the path, but without its trailing slash it is a more exact entry's: a service
    /// that ignores the slash would do what that entry guards. Nothing is there (404).
    Slashed(A),
    /// 404.
    Nothing,
}

/// A listener's paths.
#[derive(Clone, Debug)]
pub struct Router<A> {
    by_first: HashMap<Box<str>, Vec<Entry<A>>>,
    /// Those that begin with a name or with nothing.
    rest: Vec<Entry<A>>,
    /// Methods that entries name.
    named: Vec<Method>,
}

/// The methods of an entry that names none.
pub const USUAL: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

impl<A> Entry<A> {
    /// Whether the entry answers this method.
    pub fn takes(&self, method: &Method) -> bool {
        match &self.methods {
            None => !matches!(*method, Method::TRACE | Method::CONNECT),
            Some(methods) if method == Method::HEAD => {
                methods.contains(method) || methods.contains(&Method::GET)
            }
            Some(methods) => methods.contains(method),
        }
    }

    /// Whether both could answer one request, neither being more exact.
    pub fn collides(&self, other: &Entry<A>) -> bool {
        self.pattern.rank() == other.pattern.rank()
            && self.pattern.overlaps(&other.pattern)
            && match (&self.methods, &other.methods) {
                (Some(own), Some(others)) => own.iter().any(|method| others.contains(method)),
                _ => true,
            }
    }
}

impl<A> Route<A> {
    /// What a GET of `path` does.
    pub const fn get(path: &'static str, action: A) -> Route<A> {
        Route { path, method: Method::GET, action }
    }

    /// What a POST to `path` does.
    pub const fn post(path: &'static str, action: A) -> Route<A> {
        Route { path, method: Method::POST, action }
    }

    /// What a PUT of `path` does.
    pub const fn put(path: &'static str, action: A) -> Route<A> {
        Route { path, method: Method::PUT, action }
    }

    /// What a PATCH of `path` does.
    pub const fn patch(path: &'static str, action: A) -> Route<A> {
        Route { path, method: Method::PATCH, action }
    }

    /// What a DELETE of `path` does.
    pub const fn delete(path: &'static str, action: A) -> Route<A> {
        Route { path, method: Method::DELETE, action }
    }
}

impl<A> Default for Router<A> {
    fn default() -> Router<A> {
        Router { by_first: HashMap::new(), rest: Vec::new(), named: Vec::new() }
    }
}

impl<A: Copy> Router<A> {
    /// A router over these entries; their order is of no meaning.
    pub fn new(mut entries: Vec<Entry<A>>) -> Router<A> {
        // The most exact first: looking up takes the first that fits and compares no ranks.
        entries.sort_by_key(|entry| Reverse(entry.pattern.rank()));
        let under = |key: Option<&str>| -> Vec<Entry<A>> {
            let fits =
                |entry: &&Entry<A>| entry.pattern.first().is_none_or(|first| Some(first) == key);
            entries.iter().filter(fits).cloned().collect()
        };
        let firsts = entries.iter().filter_map(|entry| entry.pattern.first());
        let by_first = firsts.map(|key| (key.into(), under(Some(key)))).collect();
        let named = entries.iter().filter_map(|entry| entry.methods.clone()).flatten().collect();
        Router { by_first, rest: under(None), named }
    }

    /// A router over routes that are constants of the program.
    ///
    /// # Panics
    /// If a pattern is wrong.
    pub fn of(routes: Vec<Route<A>>) -> Router<A> {
        let entry = |route: Route<A>| Entry {
            pattern: Pattern::parse(route.path).expect("a pattern of the program"),
            methods: Some(vec![route.method]),
            action: route.action,
        };
        Router::new(routes.into_iter().map(entry).collect())
    }

    /// Every entry once, those that begin with a name first, the others by their first segment.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<A>> {
        let mut firsts: Vec<&str> = self.by_first.keys().map(AsRef::as_ref).collect();
        firsts.sort_unstable();
        let under = firsts.into_iter().flat_map(|first| {
            self.by_first[first].iter().filter(move |entry| entry.pattern.first() == Some(first))
        });
        self.rest.iter().chain(under)
    }

    /// Whether it is a method that entries name, but for its case: 400, as for those that everybody
    /// knows.
    pub fn is_miscased(&self, method: &Method) -> bool {
        method::is_miscased_of(method, self.named.iter().map(Method::as_str))
    }

    /// Looks a request up.
    pub fn find(&self, path: &Path<'_>, method: &Method) -> Found<A> {
        let first = path.segments().first();
        let entries = first.and_then(|first| self.by_first.get(first.as_ref()));
        // A first segment that no literal has: only patterns that begin with a name are left, and they lie in
        // every other list as well.
        let entries = entries.unwrap_or(&self.rest);
        // Entries that have the path and not the method; the search goes on, since a less exact one may have both.
        let mut wrong: Option<(&Entry<A>, Vec<Method>)> = None;
        for entry in entries {
            let Some(params) = entry.pattern.matches(path) else { continue };
            if entry.takes(method) {
                return if is_slashed(entries, path, entry) {
                    Found::Slashed(entry.action)
                } else {
                    Found::Action(entry.action, params)
                };
            }
            // The methods of all that have the path, and the action of the most exact: it says who may be told.
            let (_, allowed) = wrong.get_or_insert_with(|| (entry, Vec::new()));
            allow(allowed, entry.methods.as_deref().unwrap_or(&USUAL));
        }
        match wrong {
            None => Found::Nothing,
            Some((entry, _)) if is_slashed(entries, path, entry) => Found::Slashed(entry.action),
            Some((entry, allowed)) => Found::WrongMethod(entry.action, allowed),
        }
    }
}

/// Whether a trailing slash alone keeps the path from an entry more exact than the one found.
fn is_slashed<A>(entries: &[Entry<A>], path: &Path<'_>, found: &Entry<A>) -> bool {
    let Some(bare) = path.without_slash() else { return false };
    let more_exact = entries.iter().take_while(|it| it.pattern.rank() > found.pattern.rank());
    let has = |pattern: &Pattern, path: &Path<'_>| pattern.matches(path).is_some();
    more_exact.into_iter().any(|it| has(&it.pattern, &bare) && !has(&it.pattern, path))
}

/// Adds `methods` to those allowed, HEAD with GET.
pub fn allow(allowed: &mut Vec<Method>, methods: &[Method]) {
    for method in methods {
        let head = (*method == Method::GET).then_some(Method::HEAD);
        for method in [method.clone()].into_iter().chain(head) {
            if !allowed.contains(&method) {
                allowed.push(method);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(rows: &[(&str, Option<&[Method]>)]) -> Router<usize> {
        let entry = |(at, (text, methods)): (usize, &(&str, Option<&[Method]>))| {
            let pattern = Pattern::parse(text).expect("a pattern");
            let methods = methods.map(<[Method]>::to_vec);
            Entry { pattern, methods, action: at }
        };
        Router::new(rows.iter().enumerate().map(entry).collect())
    }

    fn find(router: &Router<usize>, method: &Method, raw: &str) -> String {
        match router.find(&Path::parse(raw).expect("a path"), method) {
            Found::Action(at, _) => at.to_string(),
            Found::WrongMethod(_, allowed) => format!("{allowed:?}"),
            Found::Slashed(_) => "slashed".to_owned(),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_most_exact_entry_that_takes_the_method_answers() {
        let router = router(&[
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
            assert_eq!(find(&router, &method, raw), expected, "{method} {raw}");
        }
    }

    #[test]
    fn a_trailing_slash_leads_past_no_more_exact_entry() {
        let (get, post) = ([Method::GET], [Method::POST]);
        let router = router(&[
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
            assert_eq!(find(&router, &method, raw), expected, "{method} {raw}");
        }
    }

    #[test]
    fn every_entry_is_listed_once() {
        let rows = [("/{any}/x", None), ("/b/{id}", None), ("/b", None), ("/a", None), ("/", None)];
        let router = router(&rows);
        let mut texts: Vec<String> = router.entries().map(|it| it.pattern.to_string()).collect();
        texts.sort();
        assert_eq!(texts, ["/", "/a", "/b", "/b/{id}", "/{any}/x"]);
    }

    #[test]
    fn a_method_that_is_named_is_known_in_its_own_case_alone() {
        let purge = Method::from_bytes(b"PURGE").expect("a method");
        let router = router(&[("/x", Some(&[purge])), ("/**", None)]);
        let miscased = |text: &str| {
            router.is_miscased(&Method::from_bytes(text.as_bytes()).expect("a method"))
        };
        assert!(miscased("purge") && miscased("Purge"));
        assert!(!miscased("PURGE") && !miscased("report") && !miscased("REPORT"));
    }

    #[test]
    fn entries_collide_where_neither_is_more_exact() {
        let entry = |text: &str, methods: &[Method]| Entry {
            pattern: Pattern::parse(text).expect("a pattern"),
            methods: (!methods.is_empty()).then(|| methods.to_vec()),
            action: (),
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

    #[test]
    fn a_router_of_the_program_prefers_the_exact_and_tells_405_from_404() {
        let router = Router::of(vec![
            Route::get("/orders/{id}", "read"),
            Route::get("/orders/search", "search"),
            Route::post("/orders", "place"),
        ]);
        let find = |raw: &str, method: Method| match router
            .find(&Path::parse(raw).expect("a path"), &method)
        {
            Found::Action(action, _) => action.to_owned(),
            Found::WrongMethod(_, allowed) => format!("{allowed:?}"),
            Found::Slashed(_) | Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(find("/orders/search", Method::GET), "search");
        assert_eq!(find("/orders/7", Method::HEAD), "read");
        assert_eq!(find("/orders", Method::GET), "[POST]");
        assert_eq!(find("/orders/7", Method::PUT), "[GET, HEAD]");
        assert_eq!(find("/orders/", Method::POST), "nothing");
    }
}
