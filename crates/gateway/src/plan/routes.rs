//! Guarded ways to services, and the one that sign-in by cookie asks.

use chassis::http::Path;
use chassis::http::router::{self, USUAL};
use http::Method;
use mistakes::Mistakes;

use super::{Anonymous, On, PlanBuilder, Route, SignIn, Takes, Upstream, guards, upstreams};
use crate::paths::Action;
use crate::settings::{self, Host, KEEP_ALIVE, PathMethods, SESSION_TIMEOUT, Settings, Side};

pub(super) fn compile(settings: &Settings, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    for (name, route) in &settings.routes {
        one(name, route, builder, mistakes);
    }
    if let Some(session) = &settings.session {
        self::session(session, builder, mistakes);
    }
}

fn one(name: &str, settings: &settings::Route, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    let at = |step: &'static str| ["routes", name, step];
    let methods = settings.methods.as_ref().map(|list| methods(list, &at("methods"), mistakes));
    let open = match &settings.open {
        settings::OpenMethods::All(true) => Anonymous::Everything,
        settings::OpenMethods::All(false) => Anonymous::Nothing,
        settings::OpenMethods::Methods(list) => {
            Anonymous::Methods(self::methods(list, &at("open"), mistakes))
        }
    };
    let signed_in = self::methods(&settings.signed_in, &at("signed_in"), mistakes);
    let upstream = upstream(name, &settings.to.0, builder, mistakes);
    let guards = guards::compile(&settings.guard, builder.plan.idle, &at("guard"), mistakes);
    let on = if settings.listener == Side::Inner { On::Inner } else { On::Outer };
    if settings.path.0.is_empty() {
        mistakes.at(&at("path")).note("a route has at least one path");
    }
    let mut taken = Vec::new();
    for PathMethods { text, methods: own } in &settings.path.0 {
        // Where this route will stand, which is pushed below: its paths have to name it before.
        let action = Action::Proxy(builder.plan.routes.len());
        let own =
            own.as_ref().map(|list| self::methods(list, &["routes", name, "path", text], mistakes));
        let takes = Takes { methods: own.or_else(|| methods.clone()), action };
        router::allow(&mut taken, takes.methods.as_deref().unwrap_or(&USUAL));
        builder.place(on, text, takes, &at("path"), mistakes);
    }
    if let Anonymous::Methods(open) = &open {
        check_takes(open, &taken, &at("open"), mistakes);
    }
    check_takes(&signed_in, &taken, &at("signed_in"), mistakes);
    let host = settings.host.or_else(|| Some(builder.plan.upstreams.get(upstream)?.host));
    builder.plan.routes.push(Route {
        name: name.to_owned(),
        upstream,
        host: host.unwrap_or_default(),
        open,
        signed_in,
        role: settings.role.clone(),
        proof: None,
        timeouts: guards.timeouts,
        breaker: guards.breaker,
        limits: guards.limits,
    });
}

/// The place of the upstream that a route names, or of one made of its addresses.
fn upstream(
    route: &str,
    to: &[String],
    builder: &mut PlanBuilder,
    mistakes: &mut Mistakes,
) -> usize {
    let path = ["routes", route, "to"];
    if let [name] = to
        && !name.contains("://")
    {
        return named(name, &path, builder, mistakes);
    }
    let endpoints = upstreams::endpoints(to, &path, mistakes);
    builder.plan.upstreams.push(Upstream {
        name: format!("route {route}"),
        setting: path.map(str::to_owned).to_vec(),
        endpoints,
        host: Host::Own,
        keep_alive: KEEP_ALIVE.0,
    });
    builder.plan.upstreams.len() - 1
}

fn named(name: &str, path: &[&str], builder: &PlanBuilder, mistakes: &mut Mistakes) -> usize {
    let upstreams = &builder.plan.upstreams;
    upstreams.iter().position(|upstream| upstream.name == name).unwrap_or_else(|| {
        let known = upstreams.iter().map(|upstream| upstream.name.as_str());
        mistakes.at(path).unknown("upstream", name, known);
        // Any place will do: a plan with a mistake is never used.
        0
    })
}

fn session(settings: &settings::Session, builder: &mut PlanBuilder, mistakes: &mut Mistakes) {
    let upstream = named(&settings.upstream, &["session", "upstream"], builder, mistakes);
    let mut guard = settings.guard.clone();
    // Without one of its own: signing in takes longer than what is usual for a route.
    guard.timeout.get_or_insert(SESSION_TIMEOUT);
    let guards = guards::compile(&guard, builder.plan.idle, &["session", "guard"], mistakes);
    let methods = vec![Method::POST, Method::PUT, Method::DELETE];
    let takes = Takes { methods: Some(methods), action: Action::Session };
    let settings::Session { path, token, revoke, .. } = settings;
    for (step, text) in [("path", path), ("token", token), ("revoke", revoke)] {
        if !is_plain(text) {
            let says = format!("one path, without parameters. path=`{text}`");
            mistakes.at(&["session", step]).note(says);
        }
    }
    builder.place(On::Outer, path, takes, &["session", "path"], mistakes);
    let sign_in = builder.plan.routes.len();
    builder.plan.session = Some(SignIn {
        path: path.clone(),
        token: token.clone(),
        revoke: revoke.clone(),
        sign_in,
        sign_out: sign_in + 1,
        secure: settings.secure,
        topic: settings.topic.clone(),
    });
    let route = |name: &str, breaker, limits| Route {
        name: name.to_owned(),
        upstream,
        host: builder.plan.upstreams.get(upstream).map(|it| it.host).unwrap_or_default(),
        open: Anonymous::Everything,
        signed_in: Vec::new(),
        role: None,
        proof: None,
        timeouts: guards.timeouts,
        breaker,
        limits,
    };
    // No guard keeps anybody from signing out: neither a circuit that failed sign-ins opened, nor a limit that
    // they used up.
    let sign_out = route("sign-out", None, Vec::new());
    builder.plan.routes.extend([route("session", guards.breaker, guards.limits), sign_out]);
}

/// Whether a text is one path: what a request can be sent to, and a cookie can be for.
pub(super) fn is_plain(text: &str) -> bool {
    text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}*?#;,\"%".contains(&byte))
        && Path::parse(text).is_ok()
}

/// Notes every method that an entry opens and no path of its route takes: nobody would be let in by it. A path
/// that names none takes any, and what is opened to then is one of the usual: another is more likely mistyped,
/// and can be named by the path.
fn check_takes(opened: &[Method], taken: &[Method], path: &[&str], mistakes: &mut Mistakes) {
    for method in opened.iter().filter(|method| !taken.contains(method)) {
        let names = taken.iter().map(Method::as_str);
        mistakes.at(path).unknown("method of this route", method.as_str(), names);
    }
}

fn methods(list: &[String], path: &[&str], mistakes: &mut Mistakes) -> Vec<Method> {
    let parse = |text: &String| match Method::from_bytes(text.as_bytes()) {
        Ok(Method::TRACE | Method::CONNECT) => Err(format!("no route takes {text}")),
        Ok(method) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(method),
        _ => Err(format!("a method is upper-case letters. method=`{text}`")),
    };
    let checked: Vec<_> = list.iter().map(parse).collect();
    checked.into_iter().filter_map(|method| mistakes.at(path).take(method)).collect()
}
