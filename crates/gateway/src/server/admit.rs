//! Who may do what: everything that is decided before anything is done.
//!
//! The order is the contract's. Whatever a client learns of a path it may not see is what it learns
//! of a path that is not there.

use std::net::SocketAddr;

use chassis::http::path::Params;
use chassis::http::router::{self, Found};
use chassis::http::{Path, Problem, Response, Trace};
use chassis::identity::{Principal, Role, bearer, issuer, service};
use chassis::{chance, clock};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::{Face, Server, wants_html};
use crate::app::AppFiles;
use crate::negotiation;
use crate::origin;
use crate::pages;
use crate::paths::{Action, Paths, Verb};
use crate::settings::ForeignTokens;
use crate::who::Who;

/// What may be done with a request.
pub(super) enum Admitted {
    /// It is answered already: a file, or the app's page.
    Answer(Response),
    /// The app's page of something that this route knows, if it does, and lets this sender know it.
    App {
        route: usize,
        page: Response,
        who: Who,
    },
    /// Passed on by a route.
    Proxy {
        route: usize,
        who: Who,
        shared_with_app: bool,
    },
    /// Sign-in by cookie.
    Session,
    /// Events for the topic of this name.
    Publish(String),
    /// Events of the subscription of this name, fetched.
    Fetch {
        verb: Verb,
        subscription: String,
    },
    /// The schedule of this key.
    Schedule(String),
    Local(Local),
}

/// What is answered from here.
pub(super) struct Local {
    pub(super) action: Action,
    /// Whose it is, or the topic's name; none for a list of everybody's rows.
    pub(super) owner: Option<String>,
    pub(super) html: bool,
    pub(super) who: Who,
}

/// A request as it was read and looked up.
struct Routed<'r> {
    parts: &'r Parts,
    found: Found<Action>,
    /// Whether the app's page has this address too.
    app: bool,
}

/// What a request that is let in is for.
struct Target {
    action: Action,
    params: Params,
}

/// How a request that is let in goes on.
#[derive(Clone, Copy)]
struct Way<'r> {
    parts: &'r Parts,
    /// Whether the app's page has this address too.
    app: bool,
}

impl Server {
    /// Lets a request in, or answers it; `stale` says whether its cookie is to be taken back with
    /// whatever it is answered.
    ///
    /// # Errors
    /// The first refusal of the promised order.
    pub(super) fn admit(
        &self,
        parts: &Parts,
        peer: SocketAddr,
        stale: &mut bool,
    ) -> Result<Admitted, Problem> {
        let path = Path::parse(parts.uri.path()).map_err(|_| Problem::bad_path())?;
        if self.paths().is_miscased(&parts.method) {
            return Err(Problem::bad_request("a method is upper-case letters"));
        }
        // Looked up before anybody is asked who he is: what a path is for decides whether he has to be.
        let routed = Routed {
            parts,
            found: self.paths().find(&path, &parts.method),
            app: origin::is_safe(&parts.method) && self.paths().is_app(&path),
        };
        if let Some(answered) = self.open_to_all(&routed, peer, stale)? {
            return Ok(answered);
        }
        // 401 before 404 for programs: which paths there are is not told to whoever asks.
        let who = match self.who(&parts.headers, peer) {
            Ok(who) => who,
            Err(_) if self.is_the_services(&routed) => Who::default(),
            Err(problem) => return self.sign_in_first(&routed, problem),
        };
        *stale = who.is_stale();
        if who.principal.is_none() && self.is_unread(&routed) {
            return Err(Problem::invalid_token());
        }
        if who.principal.is_none() && !self.is_open(&routed) {
            let refused = if *stale { Problem::invalid_token() } else { Problem::unauthorized() };
            return self.sign_in_first(&routed, refused);
        }
        if who.principal.is_some() && !self.is_open(&routed) {
            self.check_that_ends_are_known()?;
        }
        let Routed { found, app, .. } = routed;
        // From here on he is known as far as he has to be, and may hear what there is.
        let target = self.target(found, &path, parts)?;
        // Behind the look-up: what is refused here is a call that its cookie would have let in.
        if who.is_by_cookie() && !self.may_use_a_session(parts, peer) {
            return Err(Problem::forbidden("another site's page may not use the session"));
        }
        self.enter(&target, Way { parts, app }, who)
    }

    /// What is answered before anybody is asked who he is: the app, which is everybody's, and sign-in.
    ///
    /// # Errors
    /// 404: a file of the app that is gone.
    fn open_to_all(
        &self,
        routed: &Routed<'_>,
        peer: SocketAddr,
        stale: &mut bool,
    ) -> Result<Option<Admitted>, Problem> {
        if let Some(page) = self.app_answer(routed) {
            *stale = routed.app && self.brings_a_stale_cookie(routed.parts, peer);
            return Ok(Some(match self.who_knows(routed) {
                Some(route) => Admitted::App { route, page, who: Who::default() },
                None => Admitted::Answer(page),
            }));
        }
        if self.is_lost_file(routed) {
            return Err(Problem::not_found());
        }
        // A token that has run out must not keep anybody from signing in again.
        let signs_in = matches!(routed.found, Found::Action(Action::Session, _));
        Ok(signs_in.then_some(Admitted::Session))
    }

    /// What is to be done.
    ///
    /// # Errors
    /// 404 and 405, for who may know that.
    fn target(
        &self,
        found: Found<Action>,
        path: &Path<'_>,
        parts: &Parts,
    ) -> Result<Target, Problem> {
        match found {
            Found::Action(action, params) => Ok(Target { action, params }),
            Found::WrongMethod(_, allowed) => Err(self.wrong_method(path, allowed)),
            Found::Nothing if self.shared.plan.app && self.shared.app.has(parts.uri.path()) => {
                Err(self.wrong_method(path, vec![Method::GET, Method::HEAD]))
            }
            Found::Nothing if self.paths().is_app(path) => Err(self.wrong_method(path, Vec::new())),
            Found::Slashed(_) | Found::Nothing => Err(Problem::not_found()),
        }
    }

    /// Whether a browser's session may be used for this: to look, or by a page of ours.
    fn may_use_a_session(&self, parts: &Parts, peer: SocketAddr) -> bool {
        let secure = || self.cookies(&parts.headers, peer).is_secure();
        origin::is_safe(&parts.method) || origin::is_own(&parts.headers, secure())
    }

    fn paths(&self) -> &Paths {
        match self.face {
            Face::Outer => &self.shared.plan.outer,
            Face::Inner => &self.shared.plan.inner,
            Face::Pages { .. } => &self.shared.plan.pages_only,
        }
    }

    /// The app's page or one of its files, whoever asks.
    fn app_answer(&self, routed: &Routed<'_>) -> Option<Response> {
        let shared = &*self.shared;
        let headers = &routed.parts.headers;
        let has_route = matches!(routed.found, Found::Action(..));
        // Who is signed in sees a page of his own there.
        let own = matches!(routed.found, Found::Action(Action::Own(_), _));
        // The listeners of this machine serve no app.
        if self.face != Face::Outer || !shared.plan.app || own {
            return None;
        }
        if routed.app && (!has_route || negotiation::wants_html(headers)) {
            // What is behind a sign-in is for whoever may see it.
            return (!self.is_closed(routed)).then(|| shared.app.page(headers));
        }
        if has_route || !origin::is_safe(&routed.parts.method) {
            return None;
        }
        shared.app.file(routed.parts.uri.path(), headers)
    }

    /// Whether the app's page has the address of a route that wants a sign-in: then who asks is asked first, and the
    /// route's service says whether there is such a thing for him.
    fn is_closed(&self, routed: &Routed<'_>) -> bool {
        self.shared.plan.error_pages
            && matches!(routed.found, Found::Action(Action::Proxy(_), _))
            && !self.is_open(routed)
    }

    /// The route that says whether there is what a page of the app is about: one that has the page's
    /// address too and answers whoever asks.
    fn who_knows(&self, routed: &Routed<'_>) -> Option<usize> {
        let Found::Action(Action::Proxy(route), _) = routed.found else { return None };
        let open = self.shared.routes[route].plan.open.to(&Method::GET);
        (self.shared.plan.error_pages && open).then_some(route)
    }

    /// Whether it asks for a file of another build of the app: nobody has to sign in to hear that it
    /// is gone.
    fn is_lost_file(&self, routed: &Routed<'_>) -> bool {
        self.face == Face::Outer
            && self.shared.plan.app
            && routed.found == Found::Nothing
            && origin::is_safe(&routed.parts.method)
            && AppFiles::is_of_a_build(routed.parts.uri.path())
    }

    /// Who asks; on the listeners of this machine nobody has to say.
    fn who(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Who, Problem> {
        let (verifier, cookies) = (&self.shared.verifier, self.cookies(headers, peer));
        Who::of(headers, verifier, cookies, clock::wall()).map_err(|_| Problem::invalid_token())
    }

    /// A sign-in may have ended elsewhere: while nobody can tell, what needs one is refused.
    ///
    /// # Errors
    /// 503.
    pub(super) fn check_that_ends_are_known(&self) -> Result<(), Problem> {
        if !self.shared.verifier.ended().is_unknown() {
            return Ok(());
        }
        let refused = Problem::unavailable("destination_unavailable", chance::seconds(1));
        Err(refused.detail("which sign-ins have ended cannot be seen"))
    }

    /// Whether what a request presents is between the client and the service of an open route, or between two services.
    fn is_the_services(&self, routed: &Routed<'_>) -> bool {
        let Found::Action(Action::Proxy(route), _) = &routed.found else { return false };
        let (parts, headers) = (routed.parts, &routed.parts.headers);
        let passes = self.shared.plan.foreign_tokens == ForeignTokens::Pass
            && self.shared.routes[*route].plan.open.to(&parts.method);
        let asks = || bearer(headers).is_some_and(service::is_of_a_service);
        (passes || (self.face == Face::Inner && asks()))
            && headers.contains_key(AUTHORIZATION)
            && !issuer::is_named(self.shared.verifier.issuer(), headers)
    }

    /// Whether the app's page takes a cookie back that is no good; its files are kept by browsers and
    /// say nothing of anybody.
    fn brings_a_stale_cookie(&self, parts: &Parts, peer: SocketAddr) -> bool {
        self.who(&parts.headers, peer).is_ok_and(|who| who.is_stale())
    }

    /// Whether it says who it is in a way that nobody reads here; what is passed on, its service reads.
    fn is_unread(&self, routed: &Routed<'_>) -> bool {
        self.shared.plan.foreign_tokens == ForeignTokens::Refuse
            && routed.parts.headers.contains_key(AUTHORIZATION)
            && !matches!(routed.found, Found::Action(Action::Proxy(_), _))
    }

    /// Whether a request needs no token.
    fn is_open(&self, routed: &Routed<'_>) -> bool {
        let action = match &routed.found {
            Found::Action(action, _) | Found::WrongMethod(action, _) | Found::Slashed(action) => {
                *action
            }
            Found::Nothing => return self.face.is_local(),
        };
        let pages = &self.shared.plan.pages;
        let public = |page: usize| !pages[page].private;
        self.face.is_local()
            || match action {
                Action::Proxy(route) => {
                    self.shared.routes[route].plan.open.to(&routed.parts.method)
                }
                Action::Page(page) | Action::Live(page) => public(page),
                Action::List(at) => public(self.shared.plan.lists[at].page),
                Action::Head(at) => public(self.shared.plan.heads[at].page),
                Action::Own(_)
                | Action::Events
                | Action::Trace { .. }
                | Action::Publish
                | Action::Fetch(_)
                | Action::Schedule
                | Action::Session => false,
            }
    }

    /// The refusal of who is not signed in; where a page was asked for, a page to sign in with.
    fn sign_in_first(&self, routed: &Routed<'_>, problem: Problem) -> Result<Admitted, Problem> {
        let headers = &routed.parts.headers;
        let app = &self.shared.app;
        match &routed.found {
            Found::Action(Action::Own(_), _) if self.shared.plan.app => {
                let mut response = app.page(headers);
                pages::vary_by_session(&mut response);
                Ok(Admitted::Answer(response))
            }
            Found::Action(Action::Page(_), params)
                if self.shared.plan.app && wants_html(headers, &mut params.get(0).to_owned()) =>
            {
                let refusal = problem.into_response(&Trace::take(headers));
                Ok(Admitted::Answer(self.error_page(refusal)))
            }
            // Who is shown pages is not asked to sign in for what nobody is shown.
            Found::Nothing | Found::Slashed(_) if self.error_format(routed.parts).is_page() => {
                Err(Problem::not_found())
            }
            _ => Err(problem),
        }
    }

    fn wrong_method(&self, path: &Path<'_>, mut allowed: Vec<Method>) -> Problem {
        if self.paths().is_app(path) {
            router::allow(&mut allowed, &[Method::GET]);
        }
        Problem::method_not_allowed(&allowed)
    }

    /// Checks role and owner.
    fn enter(&self, target: &Target, way: Way<'_>, who: Who) -> Result<Admitted, Problem> {
        let Way { parts, app } = way;
        let Target { action, params } = target;
        let action = *action;
        let plan = &self.shared.plan;
        let principal = who.principal.as_deref();
        // Whose rows and of which page; where neither is in question, it is answered right here.
        let (owner, page) = match action {
            Action::Proxy(route) => {
                self.check_role(route, &parts.method, principal)?;
                if app && negotiation::wants_html(&parts.headers) {
                    let mut page = self.shared.app.page(&parts.headers);
                    pages::vary_by_session(&mut page);
                    return Ok(Admitted::App { route, page, who });
                }
                return Ok(Admitted::Proxy { route, who, shared_with_app: app });
            }
            Action::Session => unreachable!("a session is admitted before anybody is asked for"),
            Action::Events | Action::Trace { .. } => {
                if !self.face.is_local() {
                    require(plan.reads_topics.as_ref(), principal)?;
                }
                let owner = Some(looked_for(target));
                return Ok(Admitted::Local(Local { action, owner, html: false, who }));
            }
            Action::Publish | Action::Fetch(_) | Action::Schedule => {
                return self.enter_events(target, principal);
            }
            Action::Page(page) | Action::Live(page) => (Some(params.get(0)), page),
            Action::Own(page) => (None, page),
            Action::List(at) if !plan.lists[at].named && principal.is_none() => {
                if !self.face.is_local() {
                    return Err(Problem::unauthorized());
                }
                return Ok(Admitted::Local(Local { action, owner: None, html: false, who }));
            }
            Action::List(at) => (plan.lists[at].named.then(|| params.get(0)), plan.lists[at].page),
            Action::Head(at) => (Some(params.get(0)), plan.heads[at].page),
        };
        let mut owner = match owner {
            Some(owner) => owner.to_owned(),
            None => principal.ok_or_else(Problem::unauthorized)?.subject.clone(),
        };
        let html = match action {
            Action::Page(_) => wants_html(&parts.headers, &mut owner),
            _ => matches!(action, Action::Own(_)),
        };
        let another = principal.is_some_and(|principal| principal.subject != owner);
        // As if it were not there: which owners there are is nobody else's to learn.
        if another && plan.pages[page].private {
            return Err(Problem::not_found());
        }
        Ok(Admitted::Local(Local { action, owner: Some(owner), html, who }))
    }

    /// Who publishes, now or later, or fetches what was published; this machine is asked for nothing.
    fn enter_events(
        &self,
        Target { action, params }: &Target,
        principal: Option<&Principal>,
    ) -> Result<Admitted, Problem> {
        let name = params.get(0).to_owned();
        if *action == Action::Publish {
            self.check_publisher(&name, principal)?;
            return Ok(Admitted::Publish(name));
        }
        if !self.face.is_local() {
            require(self.shared.plan.reads_topics.as_ref(), principal)?;
        }
        Ok(match *action {
            Action::Fetch(verb) => Admitted::Fetch { verb, subscription: name },
            _ => Admitted::Schedule(name),
        })
    }

    /// Who may not publish to a topic learns of it what who may read none does; this machine is asked for nothing.
    fn check_publisher(&self, topic: &str, principal: Option<&Principal>) -> Result<(), Problem> {
        let plan = &self.shared.plan;
        let role = plan.publishes.get(topic).or(plan.reads_topics.as_ref());
        if self.face.is_local() { Ok(()) } else { require(role, principal) }
    }

    fn check_role(
        &self,
        route: usize,
        method: &Method,
        principal: Option<&Principal>,
    ) -> Result<(), Problem> {
        let route = &self.shared.routes[route].plan;
        let anybody = route.open.to(method) || route.signed_in.contains(method);
        match &route.role {
            Some(role) if self.face == Face::Outer && !anybody => require(Some(role), principal),
            _ => Ok(()),
        }
    }
}

/// 403 without this role; without a role to have, for everybody.
fn require(role: Option<&Role>, principal: Option<&Principal>) -> Result<(), Problem> {
    let has = |role: &Role| principal.is_some_and(|principal| principal.role == *role);
    match role {
        Some(role) if has(role) => Ok(()),
        Some(role) => Err(Problem::forbidden(format!("this needs the role {role}"))),
        None => Err(Problem::forbidden("nobody may do this here")),
    }
}

/// The topic that is read, or the correlation: that is called as its first event is, by its source and its id behind it.
fn looked_for(Target { action, params }: &Target) -> String {
    match action {
        Action::Trace { is_split: true } => format!("{}/{}", params.get(0), params.get(1)),
        _ => params.get(0).to_owned(),
    }
}
