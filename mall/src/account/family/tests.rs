//! What each refresh token is good for, by hand-set time, in a database of its own.

mod at_once;

use events::Database;
use events::store::Publishes;
use tempfile::TempDir;

use super::*;
use crate::account::refresh::first;
use crate::components::topic;
use crate::fixture;
use crate::role::Role;
use crate::settings::Name;

const KEY: ChainKey = [7; 32];

fn at(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).expect("in range")
}

#[test]
fn a_refresh_token_is_judged_by_when_it_was_used() {
    let kept = |rotated: Option<i64>| RefreshToken {
        session: "s".to_owned(),
        place: 0,
        expires: at(100_000),
        rotated: rotated.map(at),
    };
    let cases = [
        (None, 0, Use::Rotate),
        (None, 99_999, Use::Rotate),
        (None, 100_000, Use::Nothing),
        (Some(10_000), 10_000, Use::Newest),
        (Some(10_000), 40_000, Use::Newest),
        (Some(10_000), 40_001, Use::Reused),
        (Some(10_000), 99_999, Use::Reused),
        (Some(10_000), 100_000, Use::Nothing),
        // A clock that was set back makes nobody a thief.
        (Some(10_000), 9_000, Use::Newest),
    ];
    for (rotated, now, expected) in cases {
        assert_eq!(judge(&kept(rotated), at(now)), expected, "{rotated:?} at {now}");
    }
}

#[test]
fn a_successor_is_the_same_under_the_same_key_alone() {
    let (one, other) = ([1; 32], [2; 32]);
    let next = successor(&one, "token");
    assert_eq!(next, successor(&one, "token"));
    assert_eq!(next.len(), first().len());
    assert_ne!(next, successor(&other, "token"));
    assert_ne!(next, successor(&one, "token2"));
}

/// A database with one user.
struct Accounts {
    database: Database,
    ended: Ended,
    _folder: TempDir,
}

impl Accounts {
    /// One on each engine.
    async fn each() -> Vec<Accounts> {
        let publishes = Publishes {
            source: "account".into(),
            topic: topic(Name::Account),
            partitions: events::Partitions::ONE,
        };
        let mut each = Vec::new();
        for (folder, database) in fixture::each(store::TABLES, Some(publishes)).await {
            each.push(Accounts::of(folder, database).await);
        }
        each
    }

    async fn of(folder: TempDir, database: Database) -> Accounts {
        let user = User {
            username: "a@b".to_owned(),
            phc: String::new(),
            nickname: String::new(),
            address: String::new(),
            role: Role::OrderCustomer,
            sequence: 1,
        };
        let inserted = database.write(user, |user, tx| Box::pin(store::insert(tx, user)));
        assert!(inserted.await.expect("inserted"));
        Accounts { database, ended: Ended::new(100), _folder: folder }
    }

    async fn begin(&self, session: &'static str, refresh: &'static str, now: i64) {
        let begun = NewFamily { session, username: "a@b", refresh };
        let work = self
            .database
            .write((begun, at(now)), |(begun, now), tx| Box::pin(begin(tx, begun, *now)));
        work.await.expect("begun");
    }

    /// The refresh token to go on with, and the sign-in.
    async fn renew(&self, token: &str, now: i64) -> Option<(String, String)> {
        let grounds = RenewalGrounds { chain: KEY, ended: self.ended.clone() };
        let given = (token.to_owned(), grounds, Cause::default());
        let renewed = self.database.write(given, move |(token, grounds, cause), tx| {
            Box::pin(renew(tx, token, grounds, cause, at(now)))
        });
        match renewed.await.expect("decided") {
            Renewed::Granted { session, refresh, .. } => Some((refresh, session)),
            Renewed::NoFamily => None,
        }
    }

    /// How many SessionEnded were published.
    fn published(&self) -> u64 {
        self.database.committed().borrow().iter().map(|it| it.number).sum()
    }
}

#[tokio::test]
async fn every_use_within_the_grace_yields_the_newest_of_the_chain() {
    for place in Accounts::each().await {
        // Now, so that what is remembered as ended is not past already.
        let now = chassis::clock::wall().as_millisecond();
        place.begin("s", "first", now).await;
        let (second, session) = place.renew("first", now).await.expect("granted");
        assert_eq!((second.as_str(), session.as_str()), (successor(&KEY, "first").as_str(), "s"));
        assert_eq!(place.renew("first", now).await.expect("the other tab").0, second);
        let (third, _) = place.renew(&second, now + 10_000).await.expect("granted");
        let (fourth, _) = place.renew(&third, now + 20_000).await.expect("granted");
        for token in ["first", &second, &third] {
            assert_eq!(
                place.renew(token, now + 30_000).await.expect("in time").0,
                fourth,
                "{token}"
            );
        }
        assert_eq!(place.published(), 0);
    }
}

#[tokio::test]
async fn a_use_after_the_grace_ends_the_family_and_no_other() {
    for place in Accounts::each().await {
        let now = chassis::clock::wall().as_millisecond();
        place.begin("s", "first", now).await;
        place.begin("other", "theirs", now).await;
        let (second, _) = place.renew("first", now).await.expect("granted");
        let (third, _) = place.renew(&second, now + 25_000).await.expect("granted");
        assert_eq!(place.renew("first", now + 30_001).await, None, "a copy in somebody's hands");
        assert!(place.ended.contains("s") && !place.ended.contains("other"));
        assert_eq!(place.published(), 1);
        for token in ["first", &second, &third] {
            assert_eq!(place.renew(token, now + 30_002).await, None, "{token}");
        }
        assert_eq!(place.published(), 1, "it ends once");
        assert!(place.renew("theirs", now + 30_002).await.is_some());
        let again = Ended::new(100);
        sessions::load(&place.database, &again, at(now)).await.expect("read");
        assert!(again.contains("s"), "it is on disk");
    }
}

#[tokio::test]
async fn an_unknown_or_an_expired_token_is_nothing_and_ends_nothing() {
    for place in Accounts::each().await {
        let now = chassis::clock::wall().as_millisecond();
        place.begin("s", "first", now).await;
        assert_eq!(place.renew("unknown", now).await, None);
        let later = now + i64::try_from(REFRESH_LIFE.as_millis()).expect("fits");
        assert_eq!(place.renew("first", later).await, None);
        assert!(place.ended.is_empty());
        assert_eq!(place.published(), 0);
    }
}

#[tokio::test]
async fn a_family_that_is_renewed_without_end_ends() {
    for place in Accounts::each().await {
        let now = chassis::clock::wall().as_millisecond();
        place.begin("s", "first", now).await;
        let fill = place.database.write(now, |&now, tx| {
            Box::pin(async move {
                for number in 1..TOKENS_MAX {
                    let kept = RefreshToken {
                        session: "s".to_owned(),
                        place: number,
                        expires: at(now + 1_000_000),
                        rotated: None,
                    };
                    families::keep(tx, &digest(&number.to_string()), &kept).await?;
                }
                Ok::<_, Error>(())
            })
        });
        fill.await.expect("kept");
        assert_eq!(place.renew(&(TOKENS_MAX - 1).to_string(), now).await, None);
        assert!(place.ended.contains("s"));
    }
}

/// Its commit fails: nothing stands of it.
async fn end_in_vain(place: &Accounts, session: &'static str, now: i64) {
    let failed = place.database.write(place.ended.clone(), move |ended, tx| {
        Box::pin(async move {
            end(tx, session, ended, &Cause::default(), at(now)).await?;
            Err::<(), _>(Error::environment("the commit fails"))
        })
    });
    assert!(failed.await.is_err());
}

#[tokio::test]
async fn an_end_that_was_not_committed_is_made_when_it_is_asked_for_again() {
    for place in Accounts::each().await {
        let now = chassis::clock::wall().as_millisecond();
        place.begin("with", "first", now).await;
        // Of an access token alone there is no family.
        for session in ["with", "without"] {
            let before = place.published();
            end_in_vain(&place, session, now).await;
            for _ in 0..2 {
                let done = place.database.write(place.ended.clone(), move |ended, tx| {
                    Box::pin(
                        async move { end(tx, session, ended, &Cause::default(), at(now)).await },
                    )
                });
                done.await.expect("ended");
                assert_eq!(
                    place.published(),
                    before + 1,
                    "{session}: once, and not in memory alone"
                );
            }
            let again = Ended::new(100);
            sessions::load(&place.database, &again, at(now)).await.expect("read");
            assert!(again.contains(session), "{session}: it is on disk");
        }
    }
}
