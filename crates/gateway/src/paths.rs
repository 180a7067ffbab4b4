//! The paths of one of the gateway's listeners: the router of everything that serves, and where the
//! app's page is beside it.
//!
//! It does not know who asks: what is open to whom, the entry's action knows.

use chassis::http::router::{Entry, Found, Router};
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
    /// One business transaction, by its correlation; whether that has two segments.
    Trace { is_split: bool },
    /// More events for a topic.
    Publish,
    /// Events of a subscription that are fetched.
    Fetch(Verb),
    /// An event that is published at a time to come.
    Schedule,
    /// Sign-in by cookie.
    Session,
}

/// What somebody who fetches asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Events.
    Pull,
    /// They were handled.
    Acknowledge,
    /// They were not.
    Reject,
}

impl Verb {
    pub(crate) const ALL: [Verb; 3] = [Verb::Pull, Verb::Acknowledge, Verb::Reject];

    /// The last segment of its path.
    pub(crate) fn segment(self) -> &'static str {
        match self {
            Verb::Pull => "pull",
            Verb::Acknowledge => "ack",
            Verb::Reject => "nack",
        }
    }

    /// What an answer calls the events that it was about.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Verb::Pull => "lent",
            Verb::Acknowledge => "acknowledged",
            Verb::Reject => "rejected",
        }
    }
}

/// A listener's paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    router: Router<Action>,
    /// Where the app's page is.
    app: Vec<Pattern>,
}

impl Paths {
    /// What is at these entries, and the app's page.
    pub(crate) fn new(entries: Vec<Entry<Action>>, app: Vec<Pattern>) -> Paths {
        Paths { router: Router::new(entries), app }
    }

    /// Whether it is a method that entries name, but for its case.
    pub(crate) fn is_miscased(&self, method: &Method) -> bool {
        self.router.is_miscased(method)
    }

    /// Looks a request up.
    pub(crate) fn find(&self, path: &Path<'_>, method: &Method) -> Found<Action> {
        self.router.find(path, method)
    }

    /// Everything that is there beside the app's page.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<Action>> {
        self.router.entries()
    }

    /// Where the app's page is.
    pub(crate) fn app(&self) -> impl Iterator<Item = &Pattern> {
        self.app.iter()
    }

    /// Whether the app's page is here.
    pub(crate) fn is_app(&self, path: &Path<'_>) -> bool {
        self.app.iter().any(|pattern| pattern.matches(path).is_some())
    }
}
