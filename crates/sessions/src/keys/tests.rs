//! Keys on a real server: `cargo xtask services install postgres`.

use std::path::Path;
use std::sync::Arc;

use events::Clock;
use events::store::{Host, Location, Tables};
use jiff::Timestamp;

use super::*;
use crate::follow::tests::server::Server;

const TABLES: Tables = Tables { embedded: &[], served: &[crate::SERVED_KEYS] };

fn sealing(digit: &str) -> SealingKey {
    digit.repeat(64).parse().expect("a key")
}

fn requests(folder: &Path) -> [KeyRequest; 2] {
    ["signing", "refresh"].map(|name| KeyRequest { name, file: folder.join(name) })
}

async fn database(address: &str) -> Database {
    let host =
        Host { address: address.parse().expect("an address"), password: None, connections: 3 };
    let place = Location::Schema { host, name: "account".to_owned() };
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    Database::at(place, TABLES, None, clock).await.expect("it opens")
}

#[tokio::test]
async fn of_many_that_start_at_once_on_an_empty_schema_all_have_the_same_keys() {
    let address = Server::shared().database("keys");
    let starts = (0..8).map(|_| {
        let address = address.clone();
        tokio::spawn(async move {
            let folder = tempfile::tempdir().expect("a folder");
            let database = database(&address).await;
            keys(&database, &sealing("a"), requests(folder.path())).await.expect("keys")
        })
    });
    let mut all = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        all.push(start.await.expect("no panic"));
    }
    assert!(all.iter().all(|keys| *keys == all[0]));
    assert_ne!(all[0][0], all[0][1], "each for itself");
    assert_ne!(all[0][0], [0; SEED_BYTES]);
}

#[tokio::test]
async fn another_key_of_the_environment_opens_none_and_changes_nothing() {
    let database = database(&Server::shared().database("keys")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let first = keys(&database, &sealing("a"), requests(folder.path())).await.expect("keys");
    // Also where it would draw one more: none that is sealed otherwise stands beside the others.
    let more = KeyRequest { name: "more", file: folder.path().join("more") };
    let [signing, refresh] = requests(folder.path());
    let refused = keys(&database, &sealing("b"), [more.clone(), signing, refresh]).await;
    assert!(matches!(refused, Err(NoKeys::Sealed(_, "signing"))), "{refused:?}");
    let again = keys(&database, &sealing("a"), requests(folder.path())).await.expect("keys");
    assert_eq!(first, again);
    keys(&database, &sealing("c"), [more]).await.expect("none was left of it");
    // And none can be put in the place of another.
    let swapped = database.write((), |(), tx| {
        let swap = "UPDATE sealed_key SET sealed =
            (SELECT sealed FROM sealed_key WHERE name = 'refresh') WHERE name = 'signing'";
        Box::pin(async move { tx.execute(swap, &[]).await })
    });
    let swapped: Result<u64, Error> = swapped.await;
    assert_eq!(swapped.expect("swapped"), 1);
    let refused = keys(&database, &sealing("a"), requests(folder.path())).await;
    assert!(matches!(refused, Err(NoKeys::Sealed(_, "signing"))), "{refused:?}");
}

#[tokio::test]
async fn a_folders_own_key_is_taken_over_where_the_store_has_none_and_left_alone_where_it_has() {
    let database = database(&Server::shared().database("keys")).await;
    let (first, second) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let own = [first.path(), second.path()]
        .map(|folder| identity::secret(&folder.join("signing")).expect("a key"));
    let kept = |folder: &Path| identity::kept(&folder.join("signing")).expect("read");

    let [signing, _] = keys(&database, &sealing("a"), requests(first.path())).await.expect("keys");
    assert_eq!((signing, kept(first.path())), (own[0], None));
    let [signing, _] = keys(&database, &sealing("a"), requests(second.path())).await.expect("keys");
    assert_eq!((signing, kept(second.path())), (own[0], Some(own[1])));
    // A copy of what the store has goes, whoever left it.
    fs::write(second.path().join("signing"), own[0]).expect("written");
    keys(&database, &sealing("a"), requests(second.path())).await.expect("keys");
    assert_eq!(kept(second.path()), None);
    // And one that is none ends the start, before anything is drawn.
    fs::write(second.path().join("refresh"), "short").expect("written");
    let refused = keys(&database, &sealing("a"), requests(second.path())).await;
    assert!(matches!(refused, Err(NoKeys::File(_))), "{refused:?}");
}
