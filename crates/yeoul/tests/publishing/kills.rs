//! Kill -9 in the middle of publishing: everything acknowledged is there, once and where it was said to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use support::{Random, pause, signal};

/// How often it dies.
const KILLS: usize = 4;
/// Who publishes at once; each asks again for what it was not told.
const PUBLISHERS: usize = 4;

/// Publishes batch after batch until nobody answers; which ids were acknowledged, and at which place its last one is.
fn publish_until_it_dies(
    served: &Served,
    publisher: usize,
    from: usize,
    told: &Mutex<BTreeMap<String, String>>,
) {
    for batch in from.. {
        // Half of each batch is the one before's, and another publisher sends the same ids the other way round.
        let ids: Vec<String> =
            (batch * 5..batch * 5 + 10).map(|id| format!("{}-{id}", publisher / 2)).collect();
        let mut events: Vec<Value> = ids.iter().map(paid).collect();
        if publisher % 2 == 1 {
            events.reverse();
        }
        let body = Value::from(events).to_string();
        let Ok(answer) = served.call("paid").content(BATCH, body).try_send() else { return };
        let place = position(&answer);
        told.lock().expect("no panic").extend(ids.into_iter().map(|id| (id, place.clone())));
    }
}

#[test]
fn everything_acknowledged_is_there_once_after_every_kill() {
    let mut random = Random::announced();
    let folder = Folder::new();
    let told = Mutex::new(BTreeMap::new());
    let mut acknowledged = 0;
    for life in 0..KILLS {
        let served = Served::on(&folder);
        let pid = served.program.pid();
        let lives = Duration::from_millis(random.between(200, 800));
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let (served, told) = (&served, &told);
                // Each life goes on a little before where the last one may have ended.
                scope.spawn(move || publish_until_it_dies(served, publisher, life * 1000, told));
            }
            pause(lives);
            signal("KILL", pid);
        });
        let known = told.lock().expect("no panic").len();
        assert!(known > acknowledged, "there was load");
        acknowledged = known;
    }
    let served = Served::on(&folder);
    let ids = served.ids("paid");
    let once: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(once.len(), ids.len(), "each is there once");
    let told = told.into_inner().expect("no panic");
    let missing: Vec<&String> = told.keys().filter(|id| !once.contains(id)).collect();
    assert!(missing.is_empty(), "{} acknowledged and gone: {missing:?}", missing.len());
    // What was asked again later is told the place that it has.
    let places: BTreeMap<&String, usize> = ids.iter().zip(1..).collect();
    for id in told.keys().step_by(50) {
        assert_eq!(
            position(&served.structured("paid", &paid(id))),
            format!("t{}.paid", places[id])
        );
    }
    assert_eq!(served.ids("paid").len(), ids.len());
}
