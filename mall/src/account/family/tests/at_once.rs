//! Two that have to do with one family at once, on a store with many writers: one comes after the other.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// The place on a server: a file has one writer.
async fn served() -> Accounts {
    Accounts::each().await.pop().expect("a place on a server")
}

/// A renewal that has decided and has not committed yet when this returns, nor does for a while.
async fn under_way(place: &Accounts, token: &'static str, now: i64) -> JoinHandle<Option<String>> {
    let (database, ended) = (place.database.clone(), place.ended.clone());
    let decided = Arc::new(Notify::new());
    let told = decided.clone();
    let task = tokio::spawn(async move {
        let grounds = RenewalGrounds { chain: KEY, ended };
        let renewed = database.write((grounds, told), move |(grounds, told), tx| {
            Box::pin(async move {
                let renewed = renew(tx, token, grounds, &Cause::default(), at(now)).await?;
                told.notify_one();
                tx.find("SELECT pg_sleep(0.5)::TEXT", &[], |_| Ok::<_, Error>(())).await?;
                Ok::<_, Error>(renewed)
            })
        });
        match renewed.await.expect("committed") {
            Renewed::Granted { refresh, .. } => Some(refresh),
            Renewed::NoFamily => None,
        }
    });
    decided.notified().await;
    task
}

/// Tokens, and those of no family.
async fn tokens(place: &Accounts) -> (u64, u64) {
    let select =
        "SELECT count(*), count(*) - count(family.sid) FROM token LEFT JOIN family USING (sid)";
    let read = place.database.read(&(), |(), rows| {
        Box::pin(rows.one(select, &[], |row| Ok::<_, Error>((row.get(0)?, row.get(1)?))))
    });
    read.await.expect("read")
}

#[tokio::test]
async fn two_renewals_by_one_token_get_the_same_one_to_go_on_with() {
    let place = served().await;
    let now = chassis::clock::wall().as_millisecond();
    place.begin("s", "first", now).await;
    let one = under_way(&place, "first", now).await;
    let other = place.renew("first", now).await.map(|(refresh, _)| refresh);
    assert_eq!(other, Some(successor(&KEY, "first")));
    assert_eq!(one.await.expect("it ran"), other);
    assert_eq!(tokens(&place).await, (2, 0));
}

#[tokio::test]
async fn an_end_leaves_nothing_of_a_renewal_that_was_under_way() {
    let place = served().await;
    let now = chassis::clock::wall().as_millisecond();
    place.begin("s", "first", now).await;
    let renewal = under_way(&place, "first", now).await;
    let ending = place.database.write(place.ended.clone(), move |ended, tx| {
        Box::pin(async move { end(tx, "s", ended, &Cause::default(), at(now)).await })
    });
    ending.await.expect("ended");
    let refresh = renewal.await.expect("it ran").expect("it was first");
    assert_eq!(place.renew(&refresh, now).await, None);
    assert_eq!(tokens(&place).await, (0, 0));
}

#[tokio::test]
async fn a_family_too_many_takes_the_tokens_of_one_that_is_being_renewed_with_it() {
    let place = served().await;
    let now = chassis::clock::wall().as_millisecond();
    place.begin("s", "first", now).await;
    for _ in 1..families::FAMILIES_PER_USER_MAX {
        begin_another(&place, now + 1).await;
    }
    let renewal = under_way(&place, "first", now + 2).await;
    begin_another(&place, now + 3).await;
    let refresh = renewal.await.expect("it ran").expect("it was first");
    let (all, nobodys) = tokens(&place).await;
    assert_eq!((all, nobodys), (families::FAMILIES_PER_USER_MAX, 0));
    assert_eq!(place.renew(&refresh, now + 4).await, None);
}

/// A sign-in under a name that nobody has.
async fn begin_another(place: &Accounts, now: i64) {
    let name = chassis::chance::token(16);
    let work = place.database.write(name, move |name, tx| {
        Box::pin(async move {
            let begun = NewFamily { session: name, username: "a@b", refresh: name };
            begin(tx, &begun, at(now)).await
        })
    });
    work.await.expect("begun");
}
