//! Right-hand sides: what they give, what fails, what is refused.

use serde_json::json;

use super::*;

fn event(data: &serde_json::Value) -> events::Event {
    events::Event {
        id: "1".into(),
        source: "order".into(),
        kind: "OrderPlaced".into(),
        subject: "1".into(),
        time: "2026-11-23T01:02:03Z".parse().expect("a time"),
        key: "1".into(),
        sequence: 1,
        outbox_sequence: Some(1),
        outbox_previous: None,
        outbox_source: None,
        foreign: None,
        cause: events::Cause::default(),
        data: serde_json::value::to_raw_value(data).expect("JSON"),
    }
}

fn eval(text: &str, data: &serde_json::Value) -> Result<Value, String> {
    let mut wanted = Wanted::default();
    let compiled = Expression::compile(text, &mut wanted)?;
    compiled.eval(&Fields::decode(&event(data), &wanted)?)
}

#[test]
fn right_hand_sides_are_looked_up_or_worked_out() {
    let data = json!({"price": 10000, "quantity": 4, "name": "유엔진", "at": {"city": {"zip": "04"}}, "no": null});
    let text = |text: &str| Value::Text(text.into());
    let cases = [
        ("event.price", Value::Int(10000)),
        ("event.at.city.zip", text("04")),
        ("event.at.nothing.zip", Value::Null),
        ("event.no", Value::Null),
        ("event.absent", Value::Null),
        ("time", text("2026-11-23T01:02:03Z")),
        ("'PENDING'", text("PENDING")),
        ("\"it's\"", text("it's")),
        ("5", Value::Int(5)),
        ("-5", Value::Int(-5)),
        ("true", Value::Bool(true)),
        ("none", Value::Null),
        ("event.price * event.quantity", Value::Int(40000)),
        ("event.price // 3", Value::Int(3333)),
        ("-7 // 2", Value::Int(-4)),
        ("event.name ~ ' 1'", text("유엔진 1")),
        ("event.at.city.zip == '04'", Value::Bool(true)),
        ("(time | upper)", text("2026-11-23T01:02:03Z")),
        ("{'a[:]': event.price}['a[:]']", Value::Int(10000)),
        ("event.absent | default(3)", Value::Int(3)),
        ("1.5", Value::Float(1.5)),
    ];
    for (formula, expected) in cases {
        assert_eq!(eval(formula, &data), Ok(expected), "{formula}");
    }
}

#[test]
fn what_cannot_be_worked_out_is_a_failure_of_that_event() {
    let cases = [
        ("event.price * event.quantity", json!({"price": 3})),
        ("event.price", json!({"price": [3]})),
        ("event.price", json!([3])),
        ("event.price + 1", json!({"price": i64::MAX})),
    ];
    for (formula, data) in cases {
        assert!(eval(formula, &data).is_err(), "{formula} {data}");
    }
}

#[test]
fn unknown_names_and_broken_text_are_mistakes() {
    let cases = [
        ("evnt.price", "unknown name. name=`evnt`, nearest=`event`"),
        ("price * 2", "unknown name. name=`price`, nearest=`time`"),
        ("event", "a rule reads named members of the event: `event.NAME`"),
    ];
    for (formula, says) in cases {
        let refused = Expression::compile(formula, &mut Wanted::default());
        assert_eq!(refused.err().as_deref(), Some(says), "{formula}");
    }
    for broken in [
        "",
        "1 +",
        "time[:4]",
        "event.name[1:]",
        "event['price']",
        "event.",
        "'open",
        "{{ event.a }}",
    ] {
        assert!(Expression::compile(broken, &mut Wanted::default()).is_err(), "{broken:?}");
    }
}

#[test]
fn a_computed_column_reads_its_rows_columns_and_floors() {
    let columns = ["payment", "state"].map(str::to_owned);
    let text = "payment // 10 if state == 'OrderPlaced' else 0";
    let computed = Computed::compile(text, &columns).expect("it compiles");
    for (payment, state, expected) in [(10009, "OrderPlaced", 1000), (10009, "PENDING", 0)] {
        let row = [Value::Int(payment), Value::Text(state.into())];
        assert_eq!(computed.eval(&row), Ok(Value::Int(expected)));
    }
    let refused = Computed::compile("paymnt // 10", &columns).err();
    assert_eq!(refused.as_deref(), Some("unknown column. name=`paymnt`, nearest=`payment`"));
}
