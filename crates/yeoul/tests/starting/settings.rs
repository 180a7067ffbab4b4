//! Settings and arguments at the start: what is wrong is named with its line, and nothing is started on it.

use super::*;

#[test]
fn wrong_input_is_one_and_wrong_usage_is_two() {
    let folder = Folder::new();
    let data = folder.data();
    let missing = folder.path().join("missing.yaml");
    let table = [
        (2, vec![]),
        (2, vec!["nonsense"]),
        (2, vec!["mall", "--nonsense"]),
        (2, vec!["mall", "--data"]),
        (2, vec!["serve"]),
        (2, vec!["check"]),
        (2, vec!["dead", "show"]),
        (1, vec!["mall", "--listen", "nonsense", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "127.0.0.1:99999", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "localhost", "--data", text(&data)]),
        (1, vec!["mall", "--listen", ":0", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "8088", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "localhost:+1", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "nosuch.invalid:0", "--data", text(&data)]),
        (1, vec!["mall", "--listen", "localhost:0", "--admin", "nosuch.invalid:0"]),
        (1, vec!["mall", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", "--data", text(&data)]),
        (
            1,
            vec![
                "mall",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "192.0.2.1:9088",
                "--data",
                text(&data),
            ],
        ),
        (1, vec!["mall", "--listen", "127.0.0.1:0", "-c", text(&missing), "--data", text(&data)]),
        (1, vec!["check", "-c", text(&missing)]),
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (0, vec!["mall", "--help"]),
    ];
    let mut wrong = Vec::new();
    for (code, arguments) in table {
        let outcome = run(&arguments);
        if outcome.code != code || (code != 0 && outcome.last_word().is_empty()) {
            wrong.push(format!("not {code}: {arguments:?}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!data.exists(), "nothing was started");
}

/// Mistakes in a file laid over the mall's, each with the line that has it.
const MISTAKES: &[(&str, usize, &str)] = &[
    ("nonsense: 1\n", 1, "nonsense"),
    ("routes:\n  order:\n    gard: {}\n", 3, "gard"),
    ("routes:\n  stock-check:\n    guard:\n      timeout: soon\n", 4, "timeout"),
    ("routes:\n  stock-check:\n    guard:\n      timeout: [1]\n", 4, "timeout"),
    (
        "routes:\n  order:\n    guard:\n      breaker:\n        failure_rate: 150%\n",
        5,
        "failure_rate",
    ),
    (
        "routes:\n  order:\n    guard:\n      rate_limit:\n        - { per: nobody, rate: 5/s, burst: 1 }\n",
        5,
        "per",
    ),
    ("routes:\n  order:\n    path: 5\n", 3, "path"),
    ("routes:\n  order: { to: nosuch }\n", 2, "nosuch"),
    ("routes:\n  again: { path: /orders, to: order }\n", 2, "/orders"),
    (
        "routes:\n  one: { path: \"/x/**\", to: order }\n  two: { path: \"/x/**\", to: order }\n",
        3,
        "/x/**",
    ),
    ("listen: here\n", 1, "listen"),
    ("listen: localhost:x\n", 1, "listen"),
    ("admin: nosuch.invalid:0\n", 1, "admin"),
    (
        "views:\n  orders:\n    on:\n      OrderPlaced:\n        create:\n          payment: event.price *\n",
        6,
        "payment",
    ),
    ("pages:\n  my-page:\n    view: nosuch\n", 3, "nosuch"),
    ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", 2, ""),
    ("routes:\n\torder: {}\n", 2, ""),
];

#[test]
fn every_mistake_in_the_settings_is_named_with_its_line() {
    let folder = Folder::new();
    let mut unnamed = Vec::new();
    for (number, (yaml, line, names)) in MISTAKES.iter().enumerate() {
        let file = overlay(folder.path(), &format!("bad{number}.yaml"), yaml);
        let checked = run(&["check", "--mall", "-c", text(&file)]);
        let at = format!("bad{number}.yaml:{line}:");
        let named = checked.stdout.lines().any(|line| line.contains(&at) && line.contains(names));
        if checked.code != 1 || !named {
            unnamed.push(format!("no `{at}` naming `{names}` for\n{yaml}in {checked:?}"));
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    let both = overlay(folder.path(), "both.yaml", "nonsense: 1\nlisten: here\n");
    let checked = run(&["check", "--mall", "-c", text(&both)]).expect(1);
    for at in ["both.yaml:1", "both.yaml:2"] {
        assert!(checked.stdout.contains(at), "{}", checked.stdout);
    }
}

#[test]
fn what_is_hardly_meant_is_a_warning_with_its_line_and_no_mistake() {
    let folder = Folder::new();
    let covered = format!("{OWN}  admin: {{ path: /echo/admin, to: echo, role: ORDER_ADMIN }}\n");
    let file = overlay(folder.path(), "covered.yaml", &covered);
    let checked = run(&["check", "-c", text(&file)]).expect(0);
    let lines: Vec<&str> = checked.stdout.lines().collect();
    let is = |line: &&str, at: &str| line.starts_with("warning: ") && line.contains(at);
    assert!(lines.iter().any(|it| is(it, "covered.yaml:5: routes.echo.path: ")), "{lines:?}");
    assert!(lines.iter().any(|it| is(it, "covered.yaml:9: routes.admin.role: ")), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let looped = OWN.replace("127.0.0.1:1\"", "localhost:8088\"");
    let file = overlay(folder.path(), "loop.yaml", &looped);
    let checked = run(&["check", "-c", text(&file)]).expect(1);
    assert!(checked.stdout.contains("loop.yaml:2: upstreams.echo: "), "{}", checked.stdout);
}

#[test]
fn settings_that_hold_are_said_to_hold() {
    let folder = Folder::new();
    for (name, yaml) in [
        ("empty.yaml", ""),
        ("timeout.yaml", "routes:\n  stock-check:\n    guard:\n      timeout: 200ms\n"),
        (
            "breaker.yaml",
            "routes:\n  order:\n    guard:\n      breaker: { failure_rate: 10%, calls: 5, open_for: 1s }\n",
        ),
        (
            "limit.yaml",
            "routes:\n  product:\n    guard:\n      rate_limit: [{ per: route, rate: 9/s, burst: 9 }]\n",
        ),
    ] {
        let file = overlay(folder.path(), name, yaml);
        let checked = run(&["check", "--mall", "-c", text(&file)]).expect(0);
        assert_eq!(checked.stdout.matches(".yaml:").count(), 0, "{}", checked.stdout);
    }
    let own = overlay(folder.path(), "own.yaml", OWN);
    run(&["check", "-c", text(&own)]).expect(0);
    let wrong = overlay(folder.path(), "wrong.yaml", &OWN.replace("to: echo", "to: nosuch"));
    run(&["check", "-c", text(&wrong)]).expect(1);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert_eq!(left.len(), 6, "a check starts nothing and leaves nothing");
}

#[test]
fn bad_settings_start_nothing() {
    let folder = Folder::new();
    let data = folder.data();
    let file = overlay(folder.path(), "bad.yaml", "routes:\n  order:\n    gard: {}\n");
    let refused =
        run(&["mall", "-c", text(&file), "--data", text(&data), "--listen", "127.0.0.1:0"])
            .expect(1);
    assert!(refused.stderr.contains("bad.yaml:3"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    assert!(!data.exists());
}

#[test]
fn names_of_hosts_are_addresses_to_listen_on() {
    if support::is_elsewhere() {
        return;
    }
    let folder = Folder::new();
    let file = overlay(folder.path(), "names.yaml", "listen: localhost:0\nadmin: localhost:0\n");
    run(&["check", "-c", text(&file), "--mall"]).expect(0);
    let mall = Mall::on(folder, &["--admin", "localhost:0", "--listen", "localhost:0"]);
    mall.get("/products").send().expect(200);
    mall.at("admin", "GET", "/readyz").send().expect(200);
}
