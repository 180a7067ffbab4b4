//! The shipped settings hold, and mistakes are named.

use std::fs;

use super::*;

fn mistakes(text: &str, base: Base) -> Vec<String> {
    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("yeoul.yaml");
    fs::write(&file, text).expect("written");
    match load(base, Some(&file)) {
        Ok(_) => Vec::new(),
        Err(list) => list
            .iter()
            .map(|mistake| format!("{}: {}: {}", mistake.line, mistake.path, mistake.says))
            .collect(),
    }
}

#[test]
fn the_mall_s_own_settings_hold() {
    let plan = load(Base::Mall, None).unwrap_or_else(|list| panic!("{}", list[0]));
    assert_eq!(plan.listen, loopback(8088));
    assert_eq!(plan.admin, loopback(9088));
    assert!(plan.mall.is_some());
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
    let mut plan = load(Base::Mall, None).unwrap_or_else(|list| panic!("{}", list[0]));
    let listen = Some(loopback(0));
    plan.place(&PlaceArgs { data: None, listen, admin: None, json: false });
    assert_eq!(plan.admin.port(), 0);
    let mall = plan.mall.expect("the mall");
    assert!(mall.services.values().all(|service| service.listen.port() == 0));
}

#[test]
fn trusted_proxies_are_networks() {
    assert!(mistakes("trusted: [10.0.0.0/8, \"::1\"]\n", Base::Nothing).is_empty());
    let found = mistakes("trusted:\n  - 10.0.0.0/8\n  - 10.0.0.0/33\n", Base::Mall);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("3: trusted"), "{found:?}");
    assert!(found[0].contains("must be a network such as `10.0.0.0/8`"), "{found:?}");
}
