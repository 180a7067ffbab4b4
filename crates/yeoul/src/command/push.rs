//! `yeoul push`: what was delivered to services elsewhere, beside a running process.

use serde_json::Value;

use super::ask::{self, Process};
use super::{advise, print};
use crate::cli::PushCommand;
use crate::exit::Failure;

pub(super) fn run(command: &PushCommand) -> Result<(), Failure> {
    let PushCommand::Log { name, place } = command;
    let path = format!("/admin/push/{}", ask::segment(name));
    let log = Process::holding(&place.data)?.get(&path)?;
    let attempts = log.as_array().map_or(&[][..], Vec::as_slice);
    print(attempts.iter().map(line))?;
    advise(&next(attempts))
}

/// What whoever looked at these attempts does next.
fn next(attempts: &[Value]) -> String {
    let failed = attempts.iter().filter(|attempt| attempt["result"] == "failed").count();
    match (attempts.len(), failed) {
        (0, _) => {
            "nothing was attempted since the start: `yeoul doctor` says how far it is".to_owned()
        }
        (_, 0) => "none of these failed; the newest is first".to_owned(),
        (_, failed) => format!(
            "{failed} of these failed: `yeoul dead list` says when each is tried again, and which were given up"
        ),
    }
}

fn line(delivery: &Value) -> String {
    let text = |name: &str| delivery[name].as_str().unwrap_or_default().to_owned();
    let status = delivery["status"].as_u64().map_or("-".to_owned(), |status| status.to_string());
    format!(
        "{}  {}  key {}  attempt {}  {status}  {:.1} ms  {}  {}",
        text("at"),
        text("id"),
        text("key"),
        delivery["attempt"],
        delivery["ms"].as_f64().unwrap_or_default(),
        text("result"),
        text("reason"),
    )
    .trim_end()
    .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attempt_is_a_line_with_what_came_of_it() {
        let mut delivery = json!({
            "at": "2026-11-23T00:00:00Z", "id": "order/9", "key": "7", "attempt": 2, "status": 500,
            "ms": 1.25, "result": "failed", "reason": "the receiver answered 500",
        });
        let expected = "2026-11-23T00:00:00Z  order/9  key 7  attempt 2  500  1.2 ms  failed  the receiver answered 500";
        assert_eq!(line(&delivery), expected);
        (delivery["status"], delivery["reason"]) = (Value::Null, Value::Null);
        assert!(line(&delivery).ends_with("attempt 2  -  1.2 ms  failed"), "{}", line(&delivery));
    }

    #[test]
    fn who_looked_is_told_where_to_look_next() {
        let (failed, delivered) = (json!({"result": "failed"}), json!({"result": "delivered"}));
        for (attempts, says) in [
            (&[][..], "nothing was attempted"),
            (std::slice::from_ref(&delivered), "none of these failed"),
            (&[failed, delivered.clone()], "1 of these failed: `yeoul dead list`"),
        ] {
            assert!(next(attempts).starts_with(says), "{attempts:?}: {}", next(attempts));
        }
    }
}
