//! What a settings file may say, and what is refused, each mistake with its path.

use chassis::http::router::Found;
use chassis::settings::Tree;

use super::*;

const READ_SIDE: &str = "
views:
  orders:
    topics: [order]
    key: orderId
    owner: customerId
    on: { OrderPlaced: { create: { orderId: event.orderId, customerId: event.customerId } } }
pages:
  my-page: { path: \"/mypages/{customerId}\", own: /mypage, view: orders, by: customerId, template: t }
";

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let tree = Tree::parse("test", text).expect("YAML");
    tree.read().unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn compiled(text: &str) -> Result<Plan, Vec<Mistake>> {
    let definitions = Definitions::compile(&read(READ_SIDE), &|_| Ok(String::new()));
    let definitions = definitions.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    compile(&read(text), &definitions)
}

const UPSTREAMS: &str = "upstreams: { order: [http://127.0.0.1:8081] }\n";

#[test]
fn what_is_left_out_has_its_default() {
    let text = format!(
        "{UPSTREAMS}routes: {{ order: {{ path: /orders/**, to: order, guard: {{ breaker: {{}} }} }} }}"
    );
    let plan = compiled(&text).expect("good settings");
    let route = &plan.routes[0];
    assert_eq!(route.timeouts, Timeouts::default());
    assert_eq!(route.timeouts.answer, Duration::from_secs(30));
    assert_eq!(route.open, Anonymous::Nothing);
    let breaker = route.breaker.expect("a breaker");
    let half = guard::share::Share::of_percent(50).expect("a share");
    assert_eq!((breaker.failure_rate, breaker.window_calls, breaker.probes), (half, 10, 1));
    assert_eq!((breaker.open_for, breaker.enforce), (Duration::from_secs(5), true));
    assert_eq!(breaker.probe_deadline, Duration::from_secs(31));
    assert!(plan.session.is_none() && !plan.app);
}

#[test]
fn an_upstream_may_say_more_than_where_it_is() {
    let text = "
upstreams: { a: { to: [http://a, http://b], host: keep, keep_alive: 4s }, b: http://b }
routes:
  kept: { path: /a, to: a }
  own: { path: /b, to: a, host: own }
  other: { path: /c, to: b }";
    let plan = compiled(text).expect("good settings");
    let hosts: Vec<(&str, Host)> =
        plan.routes.iter().map(|route| (route.name.as_str(), route.host)).collect();
    assert_eq!(hosts, [("kept", Host::Keep), ("other", Host::Own), ("own", Host::Own)]);
    let kept: Vec<Duration> = plan.upstreams.iter().map(|it| it.keep_alive).collect();
    assert_eq!(kept, [Duration::from_secs(4), Duration::from_millis(1_500)]);
    assert_eq!(plan.upstreams[0].endpoints.len(), 2);
}

#[test]
fn limits_of_ones_own_come_before_everybodys() {
    let limits = "[{ per: route, rate: 1/s, burst: 1 }, { per: client, rate: 1/s, burst: 1 }]";
    let text = format!(
        "{UPSTREAMS}routes: {{ order: {{ path: /o, to: order, guard: {{ rate_limit: {limits} }} }} }}"
    );
    let plan = compiled(&text).expect("good settings");
    let order: Vec<Per> = plan.routes[0].limits.iter().map(|limit| limit.per).collect();
    assert_eq!(order, [Per::Client, Per::Route]);
}

#[test]
fn an_upstream_is_put_where_it_is_after_all() {
    let mut plan = compiled(&format!("{UPSTREAMS}routes: {{ order: {{ path: /o, to: order }} }}"))
        .expect("good");
    plan.set_upstream("order", ([127, 0, 0, 1], 41_000).into());
    plan.set_upstream("nobody", ([127, 0, 0, 1], 1).into());
    assert_eq!(plan.upstreams[0].endpoints, [Endpoint::at(([127, 0, 0, 1], 41_000).into())]);
}

#[test]
fn a_role_is_held_against_those_that_there_are_where_the_settings_say_which() {
    let route = |roles: &str, role: &str| {
        format!("{UPSTREAMS}{roles}\nroutes: {{ r: {{ path: /o, to: order, role: {role} }} }}")
    };
    for (roles, role) in [("", "ANY"), ("roles: [BUYER, SELLER]", "SELLER"), ("roles: []", "ANY")] {
        let plan = compiled(&route(roles, role)).expect(role);
        assert_eq!(plan.routes[0].role.as_ref().map(chassis::identity::Role::as_str), Some(role));
    }
    let mistakes = compiled(&route("roles: [BUYER, SELLER]", "SELER")).expect_err("no such role");
    assert_eq!(mistakes[0].says, "unknown role. name=`SELER`, nearest=`SELLER`");
    let reads = |text: &str| compiled(text).expect(text).reads_topics.map(String::from);
    assert_eq!(reads("events: { role: SELLER }"), Some("SELLER".to_owned()));
    assert_eq!((reads(""), reads("events: { path: /topics }")), (None, None));
}

#[test]
fn a_route_is_opened_to_methods_that_one_of_its_paths_takes() {
    let route =
        |rest: &str| format!("{UPSTREAMS}routes: {{ r: {{ to: order, role: ANY, {rest} }} }}");
    for good in [
        "path: /o, open: [GET, OPTIONS], signed_in: [PATCH]",
        "path: /o, methods: [GET], open: [HEAD]",
        "path: /o, methods: [PROPFIND], open: [PROPFIND]",
        "path: { /o: [GET], /p: [POST] }, open: [POST], signed_in: [GET]",
    ] {
        compiled(&route(good)).expect(good);
    }
    let says = |rest: &str| compiled(&route(rest)).expect_err(rest)[0].says.clone();
    assert_eq!(
        says("path: /o, signed_in: [GETT]"),
        "unknown method of this route. name=`GETT`, nearest=`GET`"
    );
    // The path's own are all that it takes.
    assert_eq!(
        says("path: { /o: [GET] }, methods: [PUT], open: [PUT]"),
        "unknown method of this route. name=`PUT`, nearest=`GET`"
    );
}

/// Whoever writes a role means something to be closed.
#[test]
fn a_role_that_nobody_is_asked_for_is_a_warning() {
    let cases = [
        ("path: /o, open: true", true),
        ("path: /o, methods: [GET], open: [GET]", true),
        ("path: /o, methods: [GET, POST], open: [GET], signed_in: [POST]", true),
        ("path: { /o: [GET], /p: [PUT] }, signed_in: [GET, PUT]", true),
        ("path: /o, listener: inner", true),
        ("path: /o", false),
        ("path: /o, open: [GET]", false),
        ("path: /o, methods: [GET, POST], open: [GET]", false),
        ("path: { /o: [GET], /p: [PUT] }, open: [GET]", false),
    ];
    for (rest, expected) in cases {
        let text = format!("{UPSTREAMS}routes: {{ r: {{ to: order, role: BUYER, {rest} }} }}");
        let plan = compiled(&text).expect(rest);
        let said: Vec<_> = plan.warnings().iter().map(|it| it.path.join(".")).collect();
        assert_eq!(said, if expected { &["routes.r.role"][..] } else { &[] }, "{rest}");
    }
}

#[test]
fn so_many_roles_may_be_named_and_no_more() {
    let roles = |count: usize| {
        let names: Vec<_> = (0..count).map(|at| format!("R{at}")).collect();
        compiled(&format!("roles: [{}]", names.join(", ")))
    };
    assert!(roles(256).is_ok(), "at the limit");
    let past = roles(257).expect_err("one past it");
    assert_eq!(past[0].says, "at most 256 roles. roles=`257`");
}

#[test]
fn every_mistake_is_named_with_its_path() {
    let route =
        |rest: &str| format!("{UPSTREAMS}routes: {{ r: {{ path: /o, to: order, {rest} }} }}");
    let session = |rest: &str| format!("{}\nsession: {{ {rest} }}", route("open: true"));
    let table = [
        ("routes: { r: { path: /o, to: nobody } }".to_owned(), "routes.r.to"),
        ("routes: { r: { path: /o, to: [order] } }".to_owned(), "routes.r.to"),
        ("routes: { r: { path: /o, to: [] } }".to_owned(), "routes.r.to"),
        ("upstreams: { a: [https://b] }".to_owned(), "upstreams.a"),
        ("upstreams: { a: [] }".to_owned(), "upstreams.a"),
        ("upstreams: { a: { to: https://b } }".to_owned(), "upstreams.a"),
        ("identity_headers: [host]".to_owned(), "identity_headers"),
        (format!("{UPSTREAMS}routes: {{ r: {{ path: o, to: order }} }}"), "routes.r.path"),
        (format!("{UPSTREAMS}routes: {{ r: {{ path: [], to: order }} }}"), "routes.r.path"),
        (format!("{UPSTREAMS}routes: {{ r: {{ path: [/o, /o], to: order }} }}"), "routes.r.path"),
        (route("methods: [get]"), "routes.r.methods"),
        (route("methods: [TRACE]"), "routes.r.methods"),
        (route("open: [\"\"]"), "routes.r.open"),
        (route("guard: { timeout: 0ms }"), "routes.r.guard.timeout"),
        (route("guard: { connect_timeout: 0ms }"), "routes.r.guard.connect_timeout"),
        (route("guard: { idle_timeout: 0ms }"), "routes.r.guard.idle_timeout"),
        (route("guard: { upload_timeout: 0ms }"), "routes.r.guard.upload_timeout"),
        ("idle_timeout: 0ms".to_owned(), "idle_timeout"),
        (route("guard: { breaker: { calls: 0 } }"), "routes.r.guard.breaker.calls"),
        (route("guard: { breaker: { calls: 10001 } }"), "routes.r.guard.breaker.calls"),
        (route("guard: { breaker: { probes: 33 } }"), "routes.r.guard.breaker.probes"),
        (route("guard: { breaker: { open_for: 0s } }"), "routes.r.guard.breaker.open_for"),
        (
            route("guard: { rate_limit: [{ per: route, rate: 1/s, burst: 0 }] }"),
            "routes.r.guard.rate_limit",
        ),
        (session("upstream: nobody, path: /s, token: /t, revoke: /r"), "session.upstream"),
        (session("upstream: order, path: s, token: /t, revoke: /r"), "session.path"),
        (session("upstream: order, path: '/{s}', token: /t, revoke: /r"), "session.path"),
        (session("upstream: order, path: /s;x, token: /t, revoke: /r"), "session.path"),
        (session("upstream: order, path: /s, token: '', revoke: /r"), "session.token"),
        (session("upstream: order, path: /s, token: /t, revoke: /r/../t"), "session.revoke"),
        (session("upstream: order, path: /o, token: /t, revoke: /r"), "session.path"),
        (route("methods: [GET], open: [POST]"), "routes.r.open"),
        (route("methods: [GET], signed_in: [POST]"), "routes.r.signed_in"),
        (route("signed_in: [GETT]"), "routes.r.signed_in"),
        (route("open: [PROPFIND]"), "routes.r.open"),
        ("roles: [A, B, A]".to_owned(), "roles"),
        (format!("roles: [A]\n{}", route("role: B")), "routes.r.role"),
        ("roles: [A]\nevents: { role: B }".to_owned(), "events.role"),
        ("app: { paths: [x] }".to_owned(), "app.paths"),
        ("events: { path: events }".to_owned(), "events.path"),
        ("events: { path: '/{kind}' }".to_owned(), "events.path"),
        ("events: { path: /events/** }".to_owned(), "events.path"),
        ("events: { path: '/events?of' }".to_owned(), "events.path"),
        ("lists: { l: { path: /l, page: nothing, name: n } }".to_owned(), "lists.l.page"),
        ("lists: { l: { path: \"/{a}/{b}\", page: my-page, name: n } }".to_owned(), "lists.l.path"),
        (
            "lists: { l: { path: \"/mypages/{x}\", page: my-page, name: n } }".to_owned(),
            "lists.l.path",
        ),
        ("heads: { h: { path: /h, page: my-page } }".to_owned(), "heads.h.path"),
        (
            format!("{UPSTREAMS}routes: {{ r: {{ path: \"/events/{{any}}\", to: order }} }}"),
            "events.path",
        ),
    ];
    for (text, path) in table {
        let mistakes = compiled(&text).expect_err(&text);
        let paths: Vec<String> = mistakes.iter().map(|mistake| mistake.path.join(".")).collect();
        assert!(paths.contains(&path.to_owned()), "{text}: {mistakes:?}");
    }
}

#[test]
fn the_same_path_may_be_on_both_listeners_and_for_different_methods() {
    let text = format!(
        "{UPSTREAMS}routes:
  outer: {{ path: /o, to: order }}
  inner: {{ path: /o, to: order, listener: inner }}
  read: {{ path: /p, methods: [GET], to: order }}
  write: {{ path: /p, methods: [POST], to: order }}"
    );
    compiled(&text).expect("good settings");
}

#[test]
fn of_two_entries_for_one_path_both_are_named() {
    let text = format!(
        "{UPSTREAMS}routes: {{ a: {{ path: /o, to: order }}, b: {{ path: /o, to: order }} }}"
    );
    let mistakes = compiled(&text).expect_err("twins");
    let listed: Vec<String> =
        mistakes.iter().map(|it| format!("{}: {}", it.path.join("."), it.says)).collect();
    assert_eq!(
        listed,
        [
            "routes.b.path: `routes.a.path` takes this path and method too. path=`/o`",
            "routes.a.path: `routes.b.path` takes this path and method too. path=`/o`",
        ]
    );
}

#[test]
fn a_path_may_have_methods_of_its_own() {
    let text = format!(
        "{UPSTREAMS}routes:
  order:
    path: {{ /orders: [GET, POST], \"/orders/{{id}}\": [GET, PATCH] }}
    to: order"
    );
    let plan = compiled(&text).expect("good settings");
    let find = |method: &Method, raw: &str| match plan
        .outer
        .find(&chassis::http::Path::parse(raw).expect("a path"), method)
    {
        Found::Action(..) => "taken".to_owned(),
        Found::WrongMethod(_, allowed) => format!("{allowed:?}"),
        Found::Slashed(_) | Found::Nothing => "nothing".to_owned(),
    };
    assert_eq!(find(&Method::POST, "/orders"), "taken");
    assert_eq!(find(&Method::PUT, "/orders"), "[GET, HEAD, POST]");
    assert_eq!(find(&Method::PATCH, "/orders/7"), "taken");
    assert_eq!(find(&Method::POST, "/orders/7"), "[GET, HEAD, PATCH]");
    assert_eq!(find(&Method::GET, "/orders/7/x"), "nothing");
    assert_eq!(find(&Method::GET, "/orders/"), "nothing");
}

#[test]
fn a_guard_beside_a_service_has_the_inner_routes_and_nothing_of_clients() {
    let text = format!(
        "{UPSTREAMS}
routes:
  order: {{ path: /orders, to: order }}
  asked: {{ listener: inner, path: \"/order/{{id}}\", to: order, guard: {{ timeout: 1s }} }}
session: {{ upstream: order, path: /session, token: /token, revoke: /revoke }}
events: {{ path: /events, role: ADMIN }}
roles: [ADMIN]"
    );
    let plan = compiled(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let find = |paths: &Paths, path: &str| {
        let path = chassis::http::Path::parse(path).expect("a path");
        matches!(paths.find(&path, &Method::GET), Found::Action(..))
    };
    assert!(plan.has_session() && find(&plan.outer, "/orders") && !plan.pages.is_empty());
    let guard = plan.inner_alone();
    assert!(!guard.has_session() && !find(&guard.outer, "/orders") && guard.pages.is_empty());
    assert!(find(&guard.inner, "/order/7"));
    let route = guard.routes.iter().find(|route| route.name == "asked").expect("a route");
    assert_eq!(route.timeouts.answer, Duration::from_secs(1));
}
