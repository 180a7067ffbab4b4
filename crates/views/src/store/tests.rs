//! The feed's bounds, and the definitions that tests of a store share.

use std::ops::RangeInclusive;
use std::sync::Arc;

use events::Database;
use events::store::{Row, Tx};
use serde_json::json;

use super::feed::{self, Extent};
use super::{Store, open};
use crate::definition::Definitions;
use crate::feed::CHANGE_BYTES;
use crate::owner::{Owner, Owners, OwnersPageRef};
use crate::settings::Settings;

/// A view with a key, a list sorted by another column, and a join.
pub(super) fn definitions() -> Definitions {
    let settings = json!({
        "views": {"rows": {
            "topics": ["t"], "key": "id", "owner": "owner",
            "on": {
                "Made": {"create": {"id": "event.id", "owner": "event.owner", "at": "time",
                    "kind": "event.kind", "picture": "event.picture"}},
                "KindChanged": {"update": {"picture": "event.picture"},
                    "where": {"kind": "event.kind"}},
            },
        }},
        "pages": {"page": {"path": "/{owner}", "view": "rows", "by": "owner", "order": "at desc",
            "template": "t"}},
    });
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    Definitions::compile(&settings, &|_| Ok(String::new())).expect("no mistakes")
}

/// A feed of its own, with so small a bound that a test reaches it.
struct Feed {
    database: Database,
    bytes_max: u64,
    _folder: tempfile::TempDir,
}

impl Feed {
    fn new(bytes_max: u64) -> Feed {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: events::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        let Store { database, .. } = open(folder.path(), &definitions(), clock).expect("it opens");
        Feed { database, bytes_max, _folder: folder }
    }

    /// Adds one change of `owner`, as the end of a batch does; what it takes.
    async fn add(&self, owner: &str, row: &str) -> u64 {
        let given = (owner.to_owned(), row.to_owned(), self.bytes_max);
        let added = self
            .database
            .write(given, |(owner, row, bytes_max), tx| Box::pin(add(tx, owner, row, *bytes_max)));
        added.await.expect("it is added");
        ("row".len() + row.len() + Owner::Text(owner).weight() + CHANGE_BYTES) as u64
    }

    /// The changes kept, oldest first.
    async fn kept(&self) -> Vec<Place> {
        let read = self.database.read(&(), |(), rows| {
            let select = "SELECT sequence, bytes FROM change ORDER BY sequence";
            let place = |row: &Row<'_>| Ok(Place { sequence: row.get(0)?, bytes: row.get(1)? });
            Box::pin(rows.all(select, &[], place))
        });
        let kept: Result<_, events::Error> = read.await;
        kept.expect("readable")
    }

    async fn extent(&self) -> Extent {
        let read = self.database.read(&(), |(), rows| Box::pin(feed::extent(rows)));
        read.await.expect("an extent")
    }

    /// The places of an owner's changes that can still be followed.
    async fn of(&self, owner: &str) -> Vec<u64> {
        let whose = OwnersPageRef { page: 0, owner: Owner::Text(owner) };
        let floor = self.extent().await.floor;
        let given = (whose, floor);
        let read = self.database.read(&given, |&(whose, floor), rows| {
            Box::pin(async move {
                let newest = feed::known(rows, whose).await?.expect("known").position;
                feed::changes(rows, whose, newest, floor, 1_000).await
            })
        });
        let changes: Result<Vec<feed::StoredChange>, events::Error> = read.await;
        changes.expect("a read").into_iter().map(|kept| kept.sequence).collect()
    }
}

/// A change that is kept, and what it takes.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    sequence: u64,
    bytes: u64,
}

async fn add(tx: &mut Tx<'_>, owner: &str, row: &str, bytes_max: u64) -> Result<(), events::Error> {
    let whose = OwnersPageRef { page: 0, owner: Owner::Text(owner) };
    let mut extent = feed::extent(tx).await?;
    let mut version = feed::version(tx, whose, Owners::Text, &extent).await?;
    let change = feed::NewChange { kind: "row", row };
    extent.append(tx, whose, &mut version, change).await?;
    version.save(tx, whose, &mut extent).await?;
    extent.save(tx, bytes_max).await
}

fn places(sequences: RangeInclusive<u64>, bytes: u64) -> Vec<Place> {
    sequences.map(|sequence| Place { sequence, bytes }).collect()
}

fn weight(kept: &[Place]) -> u64 {
    kept.iter().map(|place| place.bytes).sum()
}

#[tokio::test]
async fn all_owners_together_keep_so_many_bytes_and_the_oldest_go_first() {
    let one = Feed::new(u64::MAX).add("a", "0123456789").await;
    let feed = Feed::new(10 * one);
    for sequence in 1..=10 {
        feed.add(if sequence % 2 == 0 { "a" } else { "b" }, "0123456789").await;
    }
    assert_eq!(feed.kept().await, places(1..=10, one), "at the limit");
    feed.add("b", "0123456789").await;
    assert_eq!(feed.kept().await, places(2..=11, one), "one past it");
    assert_eq!(feed.extent().await.floor, 1);
    // A larger one makes as much room as it needs, and no more; nobody's place in between is lost.
    feed.add("a", &"x".repeat(usize::try_from(3 * one).expect("small"))).await;
    let kept = feed.kept().await;
    let bytes = weight(&kept);
    let places: Vec<u64> = kept.iter().map(|place| place.sequence).collect();
    assert!(bytes <= feed.bytes_max && bytes > feed.bytes_max - one, "{bytes}");
    assert_eq!(places.last(), Some(&12));
    let floor = feed.extent().await.floor;
    assert_eq!(places.first(), Some(&(floor + 1)));
    let (of_a, of_b) = (feed.of("a").await, feed.of("b").await);
    assert!(of_a.iter().all(|place| place % 2 == 0) && of_a.last() == Some(&12), "{of_a:?}");
    let mut all = [of_a, of_b].concat();
    all.sort_unstable();
    assert_eq!(all, places, "whoever is at the floor misses nothing");
}

#[tokio::test]
async fn a_flood_of_any_owners_never_keeps_more_than_the_bound() {
    let feed = Feed::new(20_000);
    for round in 0..2_000_usize {
        let row = "x".repeat(round * 37 % 900);
        feed.add(&format!("owner{}", round % 7), &row).await;
        assert!(weight(&feed.kept().await) <= feed.bytes_max, "round {round}");
    }
    let extent = feed.extent().await;
    assert_eq!(extent.sequence, 2_000);
    assert!(extent.floor > 1_900, "{extent:?}");
}

#[tokio::test]
async fn a_change_larger_than_the_bound_is_forgotten_itself_and_stops_nothing() {
    let feed = Feed::new(100);
    feed.add("a", &"x".repeat(1_000)).await;
    assert_eq!(feed.kept().await, []);
    assert_eq!(feed.extent().await.floor, 1, "who was before it reads the page");
    feed.add("a", "y").await;
    assert_eq!(feed.of("a").await, [2]);
}
