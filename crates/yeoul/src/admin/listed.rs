//! Subscriptions and relays as lists: where each is, and what keeps it.

use chassis::http::{Problem, Response, json};
use events::relay;
use events::share::report::{ShareReport, SharesReport};
use events::subscription::{Control, Ownership, PartitionStatus, Status};
use http::StatusCode;
use serde_json::{Value, json};

use super::{at_once, pausing, problem};

/// How a subscription is, and what it has put aside.
struct Listed {
    status: Status,
    parked: u64,
    expired: u64,
}

/// Every subscription.
pub(super) async fn subscriptions(controls: &[Control]) -> Result<Response, Problem> {
    let asked = |control: Control| async move {
        let status = control.status().await?;
        let (parked, expired) = (control.parked().await?, control.expired().await?);
        Ok(Listed { status, parked, expired })
    };
    let all = at_once(controls.iter().cloned().map(asked)).await;
    let mut list = Vec::with_capacity(controls.len());
    for (control, listed) in controls.iter().zip(all) {
        list.push(match listed {
            Ok(listed) => shown(&listed),
            // Its store or the broker is away: that is how it is, and no reason to say nothing of the others.
            Err(error) if error.is_environment() => unasked(control, &error),
            Err(error) => return Err(problem(&error)),
        });
    }
    Ok(json(StatusCode::OK, &list))
}

fn shown(listed: &Listed) -> Value {
    let Listed { status, parked, expired } = listed;
    json!({
        "name": status.name,
        "topic": status.topic.as_str(),
        // One number over all partitions, for people: a place to go on from is each partition's own.
        "position": status.partitions.iter().map(|one| one.position.0).sum::<u64>(),
        "lag": status.lag,
        "parked": parked,
        "expired": expired,
        "paused": status.paused.as_ref().map(pausing::shown),
        "stuck": status.stuck,
        "partitions": status.partitions.iter().map(in_partition).collect::<Vec<_>>(),
    })
}

/// A subscription that cannot be asked how far it is.
fn unasked(control: &Control, error: &events::Error) -> Value {
    json!({
        "name": control.name(), "topic": control.topic().as_str(), "position": null, "lag": null, "parked": null,
        "expired": null, "paused": null,
        "stuck": error.to_string(), "partitions": [],
    })
}

fn in_partition(status: &PartitionStatus) -> Value {
    // Of the instances that share the partitions each knows its own.
    let is_here = match status.ownership {
        Ownership::Unknown => None,
        Ownership::Own => Some(true),
        Ownership::Elsewhere => Some(false),
    };
    json!({
        "partition": status.partition.index(),
        "here": is_here,
        "position": status.position.0,
        "lag": status.lag,
        "stuck": status.stuck,
        "shares": status.shares.as_ref().map(shares),
    })
}

/// Whose events wait: how many there are, and the few with the most.
fn shares(report: &SharesReport) -> Value {
    let share = |it: &ShareReport| json!({ "share": it.name.value(), "waiting": it.waiting, "since": it.since.to_string() });
    json!({
        "count": report.count,
        "waiting": report.waiting,
        "most": report.most.iter().map(share).collect::<Vec<_>>(),
    })
}

/// Every relay.
pub(super) fn relays(relays: &[relay::Control]) -> Response {
    let list = relays.iter().map(|relay| {
        let report = relay.status();
        json!({
            "name": report.name,
            "topic": report.topic.as_str(),
            "relayed": report.relayed.iter().map(|one| one.number).sum::<u64>(),
            "lag": report.lag,
            "stuck": report.stuck,
            "since": report.since.map(|since| since.to_string()),
            "lost": report.lost,
        })
    });
    json(StatusCode::OK, &list.collect::<Vec<_>>())
}
