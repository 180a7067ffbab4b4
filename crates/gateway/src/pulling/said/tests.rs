//! What a body means that says less, or other, than was meant.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::*;

fn headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

fn named(ids: &str) -> Result<Named, String> {
    let body = format!(r#"{{"lease":"T"{ids}}}"#);
    let said = |read: fn(&HeaderMap, &[u8]) -> Result<Settled, Problem>| {
        let settled = read(&headers(), body.as_bytes());
        settled.map(|it| it.named).map_err(|problem| problem.errors()[0].reason.clone())
    };
    let acknowledged = said(settled);
    assert_eq!(acknowledged, said(unsettled), "one rule for both");
    acknowledged
}

/// Of its own members each body takes all; of others none, whatever they were meant to be.
#[test]
fn a_member_that_nobody_reads_is_refused_by_its_name_and_not_taken_for_the_whole_lease() {
    let both = [r#""id":["a"]"#, r#""Ids":["a"]"#, r#""id":null"#];
    let field = |read: fn(&HeaderMap, &[u8]) -> Result<Settled, Problem>, others: &str| {
        let body = format!(r#"{{"lease":"T",{others}}}"#);
        let refused = read(&headers(), body.as_bytes()).err();
        refused.map(|problem| problem.errors()[0].field.clone())
    };
    for others in both {
        let name = others.split('"').nth(1).map(str::to_owned);
        assert_eq!(field(settled, others), name, "{others}");
        assert_eq!(field(unsettled, others), name, "{others}");
    }
    assert_eq!(field(settled, r#""mode":"fatal""#).as_deref(), Some("mode"));
    assert_eq!(field(settled, r#""ids":["a"]"#), None);
    let all = r#""ids":["a"],"reason":"r","mode":"fail","delay_s":3"#;
    assert_eq!(field(unsettled, all), None);
}

#[test]
fn only_who_names_no_ids_at_all_means_the_whole_lease() {
    assert_eq!(named(""), Ok(Named::All));
    assert_eq!(named(r#","ids":[]"#), Ok(Named::Ids(Vec::new())));
    assert_eq!(named(r#","ids":["a"]"#), Ok(Named::Ids(vec!["a".to_owned()])));
    // A program whose list is missing does not mean everything.
    for none in ["null", "\"a\"", "{}", "7"] {
        let refused = Err("must be a list of ids".to_owned());
        assert_eq!(named(&format!(r#","ids":{none}"#)), refused, "{none}");
    }
    assert_eq!(named(r#","ids":[null]"#), Err("must be the id of an event".to_owned()));
}
