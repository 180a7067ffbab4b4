//! The shipped settings hold, and mistakes are named.

use std::fs;

use views::Money;

use super::file::loopback;
use super::*;

fn shown(mistake: &Mistake) -> String {
    let line = mistake.line.as_ref().map_or(0, |line| line.number);
    format!("{line}: {}: {}", mistake.setting(), mistake.says)
}

fn mistakes(text: &str, base: Base) -> Vec<String> {
    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("yeoul.yaml");
    fs::write(&file, text).expect("written");
    // What `check` prints as mistakes.
    let list = load(base, Some(&file), None).map_or_else(|list| list, |plan| plan.loops);
    list.iter().map(shown).collect()
}

#[test]
fn the_mall_s_own_settings_hold() {
    let plan = load(Base::Mall, None, None).unwrap_or_else(|list| panic!("{}", list[0]));
    assert_eq!(plan.listen, loopback(8088));
    assert_eq!(plan.admin, loopback(9088));
    assert!(plan.mall.is_some());
    assert_eq!(plan.warnings, []);
}

#[test]
fn the_promised_names_can_be_laid_over() {
    let over = "routes:\n  stock-check: { guard: { timeout: 1s } }\n  order: { guard: { rate_limit: [{ per: route, rate: 9/s, burst: 9 }] } }\n";
    assert_eq!(mistakes(over, Base::Mall), Vec::<String>::new());
}

#[test]
fn an_unknown_name_is_refused_with_its_line() {
    let found = mistakes("routes:\n  order:\n    gard: {}\n", Base::Mall);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("3: routes.order.gard: unknown name"), "{found:?}");
}

#[test]
fn what_a_topic_keeps_says_something_that_its_engine_does() {
    let says = "says nothing: set `for`, `bytes` or `latest_per_key: true`, or leave it out";
    for (retain, broker, wrong) in [
        ("{ for: 30d }", "", None),
        ("{ for: 1s, bytes: 1MiB, latest_per_key: true }", "", None),
        ("{}", "", Some(says)),
        ("{ latest_per_key: false }", "", Some(says)),
        ("{ for: 0s }", "", Some("retain.for: must be a time such as `90s`")),
        ("{ for: 40000d }", "", Some("retain.for: must be a time such as")),
        ("{ for: 12 }", "", Some("retain.for")),
        ("{ bytes: 4KiB }", "", Some("retain.bytes: must be at least what one event may have")),
        ("{ bytes: 3MiB }, partitions: 4", "", Some("in each partition, 4194304 bytes")),
        ("{ bytes: 4MiB }, partitions: 4", "", None),
        ("{ bites: 1MiB }", "", Some("bites: unknown name. name=`bites`, nearest=`bytes`")),
        ("{ for: 1d }", "broker: 'kafka://127.0.0.1:9092'", Some("retention.ms")),
    ] {
        let text = format!("events:\n  topics:\n    paid: {{ retain: {retain} }}\n  {broker}\n");
        let found = mistakes(&text, Base::Nothing);
        let expected: Vec<&str> = wrong.into_iter().collect();
        assert_eq!(found.len(), expected.len(), "{retain}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with("3: events.topics.paid"), "{found}");
            assert!(found.contains(expected), "{found}");
        }
    }
}

#[test]
fn an_outbox_names_a_database_without_a_password_and_the_topics_that_it_has() {
    let shop = "database: 'postgres://shop@db:5432/shop', topics: [order]";
    for (outboxes, wrong) in [
        (format!("shop: {{ {shop} }}"), None),
        (format!("shop: {{ {shop}, schema: own }}"), None),
        (format!("shop: {{ {shop}, schema: '' }}"), Some("shop.schema: must be 1 to 40 bytes")),
        (format!("shop: {{ {shop} }}, other: {{ {shop} }}"), Some("has a publisher already")),
        (format!("Shop: {{ {shop} }}"), Some("Shop: must be lower-case")),
        (format!("a__b: {{ {shop} }}"), Some("a__b: must be lower-case")),
        (
            format!("shop: {{ {} }}", shop.replace("shop@", "shop:x@")),
            Some("YEOUL_OUTBOX_SHOP_PASSWORD"),
        ),
        (format!("shop: {{ {} }}", shop.replace("postgres:", "nobody:")), Some("shop.database: ")),
        (
            format!("shop: {{ {} }}", shop.replace("order", "")),
            Some("shop.topics: must be 1 to 32"),
        ),
        (
            format!("shop: {{ {} }}", shop.replace("order", "No")),
            Some("`No` is no name of a topic"),
        ),
    ] {
        let found = mistakes(&format!("events: {{ outboxes: {{ {outboxes} }} }}\n"), Base::Nothing);
        let holds = match wrong {
            None => found.is_empty(),
            Some(wrong) => found.iter().any(|it| it.starts_with("1: ") && it.contains(wrong)),
        };
        assert!(holds, "{outboxes}: {found:?}");
    }
    let found =
        mistakes(&format!("events: {{ outboxes: {{ shop: {{ {shop} }} }} }}\n"), Base::Mall);
    assert!(found[0].contains("events.outboxes: are relayed by `yeoul serve` alone"), "{found:?}");
}

#[test]
fn a_broker_is_local_or_an_address_and_what_is_its_own_goes_with_it() {
    for (events, wrong) in [
        ("broker: local", None),
        ("broker: kafka://10.0.0.5:9092, prefix: shop., replicas: 3", None),
        ("broker: nobody://10.0.0.5:9092", Some("events.broker: must be `local` or an address")),
        (
            "broker: kafka://10.0.0.5",
            Some("events.broker: must be `local` or an address: `kafka://HOST:PORT[,HOST:PORT]`"),
        ),
        ("broker: kafka://a:1, prefix: a b", Some("events.prefix: must be at most ")),
        ("broker: 'kafka://u:secret@a:1'", Some("no login is spoken")),
        ("broker: kafka://a:1, replicas: 16", None),
        ("broker: kafka://a:1, replicas: 0", Some("must be 1 to 16. value=`0`")),
        ("broker: kafka://a:1, replicas: 17", Some("must be 1 to 16. value=`17`")),
        ("prefix: shop.", Some("events.prefix: is of a broker in a process of its own")),
        ("broker: local, replicas: 1", Some("events.replicas: is of a broker in a process")),
    ] {
        let found = mistakes(&format!("events: {{ {events} }}\n"), Base::Mall);
        let holds = match wrong {
            None => found.is_empty(),
            Some(says) => {
                found.len() == 1 && found[0].contains(says) && !found[0].contains("secret")
            }
        };
        assert!(holds, "{events}: {found:?}");
    }
}

/// Whoever may look at settings may not post as this process does.
#[test]
fn settings_are_shown_without_what_a_receiver_is_asked_with() {
    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("yeoul.yaml");
    let text = "events:\n  topics: { order: {} }\n  subscriptions:\n    \
        mail: { topic: order, push: 'http://mail/events?token=abc&to=a' }\n    \
        plain: { topic: order, push: 'http://mail/events' }\n";
    fs::write(&file, text).expect("written");
    let plan = load(Base::Nothing, Some(&file), None).unwrap_or_else(|list| panic!("{}", list[0]));
    let shown = &plan.shown["events"]["subscriptions"];
    assert_eq!(shown["mail"]["push"], "http://mail/events?…");
    assert_eq!(shown["plain"]["push"], "http://mail/events");
    assert_eq!(plan.subscriptions.len(), 2, "both are as they were written");
}

#[test]
fn a_store_is_files_or_an_address_without_its_password() {
    for (store, wrong) in [
        ("sqlite", None),
        ("postgres://shop@10.0.0.5:5432/shop", None),
        ("postgres://shop@db:5432/shop?sslmode=verify-full", None),
        (
            "files",
            Some(
                "must be `sqlite` or an address: `postgres://USER@HOST:PORT/DATABASE`, for no other",
            ),
        ),
        ("mysql://shop@db:3306/shop", Some("or an address: `postgres://USER@HOST:PORT/DATABASE`")),
        ("mysql://shop:secret@db:3306/shop", Some("no other server is spoken with")),
        ("postgres://db:5432/shop", Some("USER@HOST:PORT/DATABASE")),
        ("postgres://shop:secret@db:5432/shop", Some("one without a password in it")),
    ] {
        for base in [Base::Mall, Base::Nothing] {
            let found = mistakes(&format!("locales: [en]\nstore: {store}\n"), base);
            let holds = match wrong {
                None => found.is_empty(),
                Some(says) => {
                    found.len() == 1
                        && found[0].starts_with("2: store: ")
                        && found[0].contains(says)
                        && found[0].contains("YEOUL_STORE_PASSWORD")
                        && !found[0].contains("secret")
                }
            };
            assert!(holds, "{store}: {found:?}");
        }
    }
}

/// It would be made, and nobody would ever publish to it.
#[test]
fn a_topic_or_an_upstream_that_nothing_has_to_do_with_is_a_warning() {
    for (text, said) in [
        ("events: { topics: { ordr: { partitions: 3 } } }\n", Some("name=`ordr`, nearest=`order`")),
        ("events: { topics: { order: { partitions: 3 } } }\n", None),
        ("upstreams: { acount: [http://a:1] }\n", Some("name=`acount`, nearest=`account`")),
        ("upstreams: { account: [http://a:1], mypage: [http://b:1] }\n", None),
    ] {
        let found = warnings(text, Base::Mall);
        assert_eq!(found.len(), said.iter().count(), "{found:?}");
        for (found, said) in found.iter().zip(said) {
            assert!(found.starts_with("1: ") && found.contains(said), "{found}");
        }
    }
}

/// Wherever a name stands: of a setting, a value, a service, an upstream, a page, a column, a template.
#[test]
fn an_unknown_name_comes_with_the_one_that_was_meant() {
    let cases = [
        ("routez: {}\n", "routez", "routes"),
        ("routes:\n  order: { guard: { timeuot: 1s } }\n", "timeuot", "timeout"),
        ("routes:\n  order: { listener: iner }\n", "iner", "inner"),
        ("mall: { services: { ordr: { listen: 127.0.0.1:0 } } }\n", "ordr", "order"),
        ("routes:\n  order: { to: odrer }\n", "odrer", "order"),
        ("session: { upstream: acount }\n", "acount", "account"),
        ("lists: { my-pages: { page: my-pgae } }\n", "my-pgae", "my-page"),
        ("pages: { my-page: { view: ordres } }\n", "ordres", "orders"),
        ("pages: { my-page: { order: ordrId desc } }\n", "ordrId", "orderId"),
        ("pages: { my-page: { template: mypagee.html } }\n", "mypagee.html", "mypage.html"),
    ];
    for (over, wrong, meant) in cases {
        let found = mistakes(over, Base::Mall);
        let named = format!("name=`{wrong}`, nearest=`{meant}`");
        assert!(found.iter().any(|it| it.contains(&named)), "{over}: {found:?}");
        let line = over.lines().count();
        assert!(found.iter().all(|it| it.starts_with(&format!("{line}: "))), "{over}: {found:?}");
    }
    // A template that lies beside the file is known as well.
    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("yeoul.yaml");
    fs::write(place.path().join("shelf.html"), "").expect("written");
    fs::write(&file, "pages: { my-page: { template: shelv.html } }\n").expect("written");
    let found = load(Base::Mall, Some(&file), None).err().expect("an unknown name");
    assert!(found[0].says.contains("nearest=`shelf.html`"), "{found:?}");
}

#[test]
fn what_asks_for_no_token_listens_on_the_loopback_alone() {
    let over = "inner: 0.0.0.0:0\nadmin: 10.0.0.1:9088\n";
    for base in [Base::Mall, Base::Nothing] {
        let found = mistakes(over, base);
        let says = "must be a loopback address";
        assert_eq!(found, [format!("1: inner: {says}"), format!("2: admin: {says}")]);
    }
    assert!(mistakes("inner: \"[::1]:0\"\nadmin: 127.0.0.2:0\n", Base::Mall).is_empty());
}

#[test]
fn port_0_frees_every_port() {
    let mut plan = load(Base::Mall, None, None).unwrap_or_else(|list| panic!("{}", list[0]));
    let listen = Some(loopback(0));
    plan.override_by(&ProcessArgs { data: None, listen, admin: None, json: false });
    assert_eq!(plan.admin.port(), 0);
    let mall = plan.mall.expect("the mall");
    assert!(mall.settings().services.values().all(|service| service.listen.port() == 0));
}

#[test]
fn trusted_proxies_are_networks() {
    assert!(mistakes("trusted: [10.0.0.0/8, \"::1\"]\n", Base::Nothing).is_empty());
    let found = mistakes("trusted:\n  - 10.0.0.0/8\n  - 10.0.0.0/33\n", Base::Mall);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("3: trusted"), "{found:?}");
    assert!(found[0].contains("must be a network such as `10.0.0.0/8`"), "{found:?}");
}

/// What is hardly meant, in settings that hold.
fn warnings(text: &str, base: Base) -> Vec<String> {
    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("yeoul.yaml");
    fs::write(&file, text).expect("written");
    fs::write(place.path().join("t"), "").expect("written");
    let plan = load(base, Some(&file), None).unwrap_or_else(|list| panic!("{list:?}"));
    plan.warnings.iter().map(shown).collect()
}

fn names(found: &[String], starts: &[&str]) {
    assert_eq!(found.len(), starts.len(), "{found:?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found} is not {start}");
    }
}

const SERVICE: &str = "upstreams: { a: [http://10.0.0.1:80] }\nroutes:\n";

const PAGES: &str = "
views: { v: { topics: [t], key: id, owner: o, on: { Made: { create: { id: event.id, o: event.o } } } } }
pages:
";

#[test]
fn what_needs_a_token_is_named_where_nobody_can_have_one() {
    let page = |rest: &str| {
        format!("{PAGES}  p: {{ path: '/p/{{o}}', view: v, by: o, template: t{rest} }}\n")
    };
    let route = |rest: &str| format!("{SERVICE}  r: {{ path: /r, to: a{rest} }}\n");
    let cases = [
        (route(", open: true"), None),
        (route(", open: [GET, HEAD], methods: [GET]"), None),
        (route(", role: ORDER_ADMIN"), Some("3: routes.r.role: ")),
        (route(", signed_in: [GET]"), Some("3: routes.r.signed_in: ")),
        (route(""), Some("3: routes.r.path: ")),
        (route(", open: [GET]"), Some("3: routes.r.open: ")),
        (page(", private: false"), None),
        (page(""), Some("4: pages.p: ")),
        (page(", private: false, own: /own"), Some("4: pages.p.own: ")),
        (
            page(", private: false") + "lists: { l: { path: /l, page: p, name: n } }",
            Some("5: lists.l.path: "),
        ),
        (page(", private: false") + "lists: { l: { path: '/l/{o}', page: p, name: n } }", None),
        (
            SERVICE.replace(
                "routes:\n",
                "session: { upstream: a, path: /s, token: /t, revoke: /r }\n",
            ),
            Some("2: session: "),
        ),
        // Whoever may publish does so by `inner`.
        ("events: { path: /topics }\n".to_owned(), None),
        ("events: { path: /topics, role: SELLER }\n".to_owned(), Some("1: events: ")),
    ];
    for (text, expected) in cases {
        let found = warnings(&text, Base::Nothing);
        names(&found, expected.as_slice());
        assert!(found.iter().all(|it| it.contains("no keys here")), "{found:?}");
    }
    // A role that nobody is asked for is named with keys or without.
    let (unasked, nobody) = (
        "3: routes.r.role: nobody is asked for this role",
        "3: routes.r.role: nobody can have this role",
    );
    let said = |rest: &str| warnings(&route(rest), Base::Nothing);
    names(&said(", listener: inner, role: ORDER_ADMIN"), &[unasked]);
    names(&said(", open: true, role: ORDER_ADMIN"), &[unasked, nobody]);
    let over = "routes: { r: { path: /r, to: order, role: ORDER_ADMIN } }\n";
    assert_eq!(warnings(over, Base::Mall), [""; 0], "the mall has keys");
}

#[test]
fn an_open_pattern_around_something_closed_is_named() {
    let with =
        |rest: &str| format!("routes:\n  all: {{ path: /x/**, to: order, open: true }}\n{rest}");
    let cases = [
        (with("  admin: { path: /x/admin, to: order }\n"), Some("2: routes.all.path: `/x/**` is open and covers `/x/admin`")),
        (with("  items: { path: /x/items, methods: [POST], to: order }\n"), Some("2: routes.all.path: ")),
        (with("  things: { path: '/x/{id}', role: ORDER_ADMIN, to: order }\n"), Some("2: routes.all.path: ")),
        (with("  below: { path: /x/below/**, to: order }\n"), Some("2: routes.all.path: ")),
        ("routes:\n  one: { path: '/x/{id}', to: order, open: true }\n  admin: { path: /x/admin, to: order }\n".to_owned(), Some("2: routes.one.path: `/x/{id}` is open and covers `/x/admin`")),
        ("routes:\n  one: { path: '/x/{id}/y', to: order, open: true }\n  admin: { path: /x/admin/y, to: order }\n".to_owned(), Some("2: routes.one.path: ")),
        ("routes:\n  one: { path: '/x/{id}', to: order, open: true }\n  admin: { path: /x/admin/y, to: order }\n".to_owned(), None),
        (with("  open: { path: /x/open, to: order, open: true }\n"), None),
        (with("  inner: { path: /x/admin, to: order, listener: inner }\n"), None),
        (with("  other: { path: /y/admin, to: order }\n"), None),
        ("routes:\n  read: { path: /x/**, to: order, open: [GET] }\n  items: { path: /x/items, methods: [POST], to: order }\n".to_owned(), None),
        ("routes:\n  read: { path: /x/**, to: order, open: [GET] }\n  items: { path: /x/items, open: [POST], to: order }\n".to_owned(), Some("2: routes.read.path: ")),
        ("routes:\n  mine: { path: '/mypages/**', to: order, open: true }\n".to_owned(), Some("2: routes.mine.path: `/mypages/**` is open and covers `/mypages/{customerId}`")),
    ];
    for (text, expected) in cases {
        let found = warnings(&text, Base::Mall);
        assert_eq!(found.is_empty(), expected.is_none(), "{text}: {found:?}");
        if let Some(expected) = expected {
            assert!(found[0].starts_with(expected), "{found:?}");
        }
    }
}

#[test]
fn an_upstream_that_is_the_gateway_is_a_mistake_where_a_route_leads_there() {
    let looped = |to: &str| {
        format!("listen: 127.0.0.1:8088\nroutes:\n  r: {{ path: /**, to: {to}, open: true }}\n")
    };
    for to in [
        "http://127.0.0.1:8088",
        "http://localhost:8088",
        "http://0.0.0.0:8088",
        "[http://10.0.0.1, \"http://127.1:8088\"]",
    ] {
        let found = mistakes(&looped(to), Base::Nothing);
        names(&found, &["3: routes.r.to: the upstream is this gateway itself, `listen`"]);
    }
    assert_eq!(mistakes(&looped("http://127.0.0.1:8089"), Base::Nothing), [""; 0]);
    let named = "upstreams:\n  self: [\"http://[::1]:8088\"]\nlisten: \"[::]:8088\"\n";
    names(&warnings(named, Base::Nothing), &["2: upstreams.self: the upstream is this gateway"]);
    let led = format!("{named}routes: {{ r: {{ path: /**, to: self, open: true }} }}\n");
    names(&mistakes(&led, Base::Nothing), &["2: upstreams.self: the upstream is this gateway"]);
    let inner =
        "inner: 127.0.0.1:9\nroutes:\n  r: { path: /x, to: http://localhost:9, listener: inner }\n";
    names(
        &mistakes(inner, Base::Nothing),
        &["3: routes.r.to: the upstream is this gateway itself, `inner`"],
    );
    let moved = Some(loopback(8090));
    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("yeoul.yaml");
    fs::write(&file, looped("http://127.0.0.1:8088")).expect("written");
    let loops = || load(Base::Nothing, Some(&file), moved).map_or(0, |plan| plan.loops.len());
    assert_eq!(loops(), 0, "the gateway is elsewhere");
    fs::write(&file, looped("http://127.0.0.1:8090")).expect("written");
    assert_eq!(loops(), 1, "the gateway is there, starts, and refuses what comes back");
}

#[test]
fn a_role_that_is_not_there_is_a_mistake_with_its_line_and_the_nearest_name() {
    let route = "routes:\n  product:\n    role: ORDER_ADMINS\n";
    let says = "unknown role. name=`ORDER_ADMINS`, nearest=`ORDER_ADMIN`";
    assert_eq!(mistakes(route, Base::Mall), [format!("3: routes.product.role: {says}")]);
    let events = "events:\n  role: ORDER_ADMINS\n";
    assert_eq!(mistakes(events, Base::Mall), [format!("2: events.role: {says}")]);
    let own = "roles: [SELLER]\nupstreams: { a: [http://10.0.0.1:80] }\nroutes:\n  r: { path: /r, to: a, role: SELER }\n";
    names(&mistakes(own, Base::Nothing), &["4: routes.r.role: unknown role. name=`SELER`"]);
    assert_eq!(mistakes(&own.replace("SELER", "SELLER"), Base::Nothing), [""; 0]);
    let without_roles = own.replace("roles: [SELLER]\n", "");
    assert_eq!(mistakes(&without_roles, Base::Nothing), [""; 0], "nobody says which there are");
    names(&mistakes("roles:\n  - A B\n", Base::Nothing), &["2: roles"]);
    let plan = load(Base::Mall, None, None).unwrap_or_else(|list| panic!("{}", list[0]));
    let roles = plan.shown["roles"].as_array().expect("roles").iter();
    let known = ::mall::Role::ALL.map(::mall::Role::as_str);
    assert!(roles.eq(known.iter()), "those of account");
}

#[test]
fn what_a_shop_may_choose_has_its_limits() {
    for (text, start) in [
        ("locales: []\n", "1: locales: "),
        ("locales: [ko, en_US]\n", "1: locales: "),
        ("locales: [en, en]\n", "1: locales: "),
        ("money: { decimals: 5 }\n", "1: money.decimals: "),
        ("money: { sign: 123456789 }\n", "1: money.sign: "),
        ("issuer: ''\n", "1: issuer: "),
        ("issuer: my shop\n", "1: issuer: "),
        ("session: { upstream: account, token: oauth }\n", "1: session.token: "),
        ("session: { upstream: account, path: '/o/{x}' }\n", "1: session.path: "),
    ] {
        let found = mistakes(text, Base::Mall);
        assert!(found[0].starts_with(start), "{text}: {found:?}");
    }
    let own = "issuer: shop\nlocales: [de]\nmoney: { sign: €, decimals: 2 }\n";
    assert_eq!(mistakes(own, Base::Nothing), [""; 0]);
    let plan = load(Base::Nothing, None, None).unwrap_or_else(|list| panic!("{}", list[0]));
    assert_eq!((plan.look.locales, plan.look.money), (vec!["en".to_owned()], Money::default()));
}

#[test]
fn a_session_is_where_the_settings_say_and_nowhere_else() {
    let over = |rest: &str| {
        let text = format!("upstreams: {{ a: [http://b] }}\nsession: {{ upstream: a{rest} }}\n");
        mistakes(&text, Base::Nothing)
    };
    assert_eq!(over(", path: /s, token: /t, revoke: /r"), [""; 0]);
    for (given, missing) in [
        (", token: /t, revoke: /r", "path"),
        (", path: /s, revoke: /r", "token"),
        (", path: /s, token: /t", "revoke"),
    ] {
        assert_eq!(over(given), [format!("2: session.{missing}: is missing")], "{given}");
    }
}

#[test]
fn the_malls_template_is_for_the_malls_pages_alone() {
    let page = "p: { path: '/p/{o}', view: v, by: o, private: false, template: mypage.html }";
    let own = format!("{PAGES}  {page}\n");
    names(&mistakes(&own, Base::Nothing), &["4: pages.p.template: "]);
    let mall =
        "pages:\n  p: { path: '/p/{o}', view: orders, by: customerId, template: mypage.html }\n";
    assert_eq!(mistakes(mall, Base::Mall), [""; 0]);
}

#[test]
fn names_of_routes_and_upstreams_that_differ_in_case_only_are_mistakes() {
    let text = "upstreams:\n  a: [http://b]\n  A: [http://b]\nroutes:\n  r: { path: /r, to: a }\n  R: { path: /s, to: a }\n";
    let found = mistakes(text, Base::Nothing);
    names(&found, &["2: upstreams.a: two names differ", "5: routes.r: two names differ"]);
}

/// A view of a mistyped topic would wait for ever for what nobody publishes.
#[test]
fn a_view_reads_a_topic_that_there_is() {
    let mall = |topics: &str| format!("views:\n  orders:\n    topics: [{topics}]\n");
    names(
        &mistakes(&mall("ordr, delivery"), Base::Mall),
        &["3: views.orders.topics: unknown topic. name=`ordr`, nearest=`order`"],
    );
    assert_eq!(mistakes(&mall("order, delivery"), Base::Mall), [""; 0]);
    let declared = format!("{}events: {{ topics: {{ gifts: {{ }} }} }}\n", mall("order, gifts"));
    assert_eq!(mistakes(&declared, Base::Mall), [""; 0], "who declares one means it");

    let own = |topics: &str| {
        let views = "views: { v: { topics: [parcel], key: id, owner: id, on: { X: { create: { id: event.id } } } } }";
        format!(
            "upstreams: {{ a: [http://10.0.0.1:80] }}\nsession: {{ upstream: a, path: /s, token: /t, revoke: /r, topic: ended }}\n{views}\n{topics}\n"
        )
    };
    let warned = |text: &str| {
        let place = tempfile::tempdir().expect("a place");
        let file = place.path().join("yeoul.yaml");
        fs::write(&file, text).expect("written");
        let plan =
            load(Base::Nothing, Some(&file), None).unwrap_or_else(|list| panic!("{}", list[0]));
        let topics = plan.warnings.iter().filter(|it| it.says.contains("topic. name="));
        topics.map(shown).collect::<Vec<_>>()
    };
    assert_eq!(warned(&own("")), [""; 0], "to name a topic makes it where none is declared");
    assert_eq!(warned(&own("events: { topics: { parcel: {}, ended: {} } }")), [""; 0]);
    assert_eq!(
        warned(&own("events: { topics: { parcels: {}, end: {} } }")),
        [
            "3: views.v.topics: unknown topic. name=`parcel`, nearest=`parcels`",
            "2: session.topic: unknown topic. name=`ended`, nearest=`end`",
        ]
    );
}

#[test]
fn sign_ins_of_the_mall_end_on_a_topic_of_the_mall() {
    let on = |topic: &str| mistakes(&format!("session:\n  topic: {topic}\n"), Base::Mall);
    names(&on("acount"), &["2: session.topic: unknown topic. name=`acount`, nearest=`account`"]);
    assert_eq!(on("account"), [""; 0]);
    let own = "upstreams: { a: [http://10.0.0.1:80] }\nsession: { upstream: a, path: /s, token: /t, revoke: /r, topic: ended }\n";
    assert_eq!(
        mistakes(own, Base::Nothing),
        [""; 0],
        "naming a topic makes it, in one's own layer"
    );
}
