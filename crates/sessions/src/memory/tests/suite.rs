//! What a memory keeps wherever its rows are: one suite that every engine passes unchanged.

use std::future::Future;

use super::*;

/// A fresh, empty place for a memory, and what the engine there says in words of its own.
pub(super) struct Fixture {
    pub(super) location: Location,
    /// Bytes that are each another's, of the number `number`.
    pub(super) bytes: &'static str,
    /// What goes when the fixture does.
    pub(super) _kept: Option<tempfile::TempDir>,
}

impl Fixture {
    async fn open(&self, manual: &ManualClock) -> (Memory, Ended) {
        let ended = Ended::new(LIMIT);
        let memory = Memory::at(self.location.clone(), &ended, manual.clock()).await;
        (memory.expect("it opens"), ended)
    }

    /// Debts of the numbers from 1 to this one, of this sign-in.
    async fn fill(&self, memory: &Memory, up_to: u64, session: Option<&str>) {
        let insert = format!(
            "INSERT INTO owed (token, digest, since, sid, renews, given_up)
            WITH RECURSIVE counted (number) AS
                (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < ?1)
            SELECT 'x', {}, 0, ?2, 1, 0 FROM counted",
            self.bytes
        );
        let given = (insert, up_to, session.map(str::to_owned));
        let fill = memory.database.write(given, |(insert, up_to, session), tx| {
            Box::pin(async move { tx.execute(insert, &[up_to, session]).await })
        });
        fill.await.expect("written");
        memory.expect_debts();
    }
}

/// Runs every case, each on a fixture of its own.
pub(super) async fn suite<R: Future<Output = Fixture>>(fresh: impl Fn() -> R) {
    what_ended_outlives_the_process_until_its_tokens_do(fresh().await).await;
    debts_for_unknown_tokens_are_bounded_and_those_for_known_ones_are_not(fresh().await).await;
    a_renewal_is_refused_until_the_giver_has_heard(fresh().await).await;
    past_so_many_debts_no_sign_in_should_be_taken_and_none_is_forgotten(fresh().await).await;
    the_later_of_two_ends_counts_and_debts_are_read_in_their_order(fresh().await).await;
    an_event_of_a_service_is_remembered_by_everybody_who_subscribes(fresh().await).await;
}

async fn is_owed(memory: &Memory, token: &str) -> bool {
    memory.is_owed(token, None).await.expect("read")
}

async fn rows(memory: &Memory) -> u64 {
    let count = "SELECT count(*) FROM ended_session";
    let read = memory
        .database
        .read(&(), |(), rows| Box::pin(rows.one(count, &[], |row| row.get(0))))
        .await;
    read.map_err(|error: Error| error).expect("a count")
}

async fn tokens(memory: &Memory) -> Vec<String> {
    let debts = memory.debts(0, 10).await.expect("read");
    debts.into_iter().map(|debt| debt.token).collect()
}

async fn what_ended_outlives_the_process_until_its_tokens_do(fixture: Fixture) {
    let manual = ManualClock::default();
    let (memory, ended) = fixture.open(&manual).await;
    let owed = vec![renewing("refresh", "a"), opening("access", "a")];
    memory.end(ending("a", 10), owed).await.expect("written");
    assert!(ended.contains("a"));
    // As after kill -9: nobody closes it.
    std::mem::forget(memory);
    let (memory, ended) = fixture.open(&manual).await;
    assert!(ended.contains("a"));
    assert_eq!(tokens(&memory).await, ["refresh", "access"]);
    assert!(is_owed(&memory, "refresh").await && !is_owed(&memory, "other").await);
    memory.pay("refresh").await.expect("written");
    memory.pay("refresh").await.expect("twice is as good");
    assert_eq!(tokens(&memory).await, ["access"]);
    manual.set(10);
    let (_, ended) = fixture.open(&manual).await;
    assert!(!ended.contains("a"), "its last token has expired");
    memory.end(ending("b", 20), Vec::new()).await.expect("written");
    assert_eq!(rows(&memory).await, 1, "what has expired is removed");
}

async fn debts_for_unknown_tokens_are_bounded_and_those_for_known_ones_are_not(fixture: Fixture) {
    let manual = ManualClock::default();
    let (memory, _) = fixture.open(&manual).await;
    let owe = async |token: &str| memory.owe(token.to_owned()).await.expect("decided");
    for token in ["0", "1"] {
        assert_eq!(owe(token).await, DebtOutcome::Noted);
    }
    fixture.fill(&memory, OWED_MAX - 2, None).await;
    assert_eq!(owe("one more").await, DebtOutcome::TooMany);
    memory.end(ending("a", 10), vec![renewing("known", "a")]).await.expect("written");
    assert!(is_owed(&memory, "known").await);
    memory.pay("0").await.expect("written");
    let twice = (owe("one more").await, owe("two more").await);
    assert_eq!(twice, (DebtOutcome::Noted, DebtOutcome::TooMany));
    // One that its giver would not take back has had its time; one of a sign-in that is known stays.
    memory.give_up("known").await.expect("written");
    assert_eq!(owe("two more").await, DebtOutcome::TooMany);
    memory.give_up("1").await.expect("written");
    let twice = (owe("two more").await, owe("three more").await);
    assert_eq!(twice, (DebtOutcome::Noted, DebtOutcome::TooMany));
    assert!(is_owed(&memory, "known").await && !is_owed(&memory, "1").await);
    manual.set(OWED_FOR.as_secs() + 1);
    assert_eq!(owe("much later").await, DebtOutcome::Noted);
}

async fn a_renewal_is_refused_until_the_giver_has_heard(fixture: Fixture) {
    let manual = ManualClock::default();
    let (memory, _) = fixture.open(&manual).await;
    let owed = || vec![renewing("second", "a"), opening("access", "a")];
    let renews =
        async |memory: &Memory, token: &str, of| !memory.is_owed(token, of).await.expect("read");
    memory.end(ending("a", 10), owed()).await.expect("written");
    assert!(!renews(&memory, "second", None).await && !renews(&memory, "first", Some("a")).await);
    assert!(renews(&memory, "first", None).await && renews(&memory, "first", Some("b")).await);
    for token in ["second", "access"] {
        memory.pay(token).await.expect("written");
    }
    assert!(renews(&memory, "first", Some("a")).await, "its giver refuses it");

    // A giver that takes nothing back is not asked again, and renews nothing here all the same.
    memory.end(ending("a", 10), owed()).await.expect("written");
    for token in ["second", "access"] {
        memory.give_up(token).await.expect("written");
    }
    let kept = memory.database.read(&9, |&limit, rows| Box::pin(store::count(rows, limit)));
    let kept = kept.await.expect("read");
    assert_eq!((tokens(&memory).await, kept), (Vec::new(), 1));
    std::mem::forget(memory);
    let (memory, _) = fixture.open(&manual).await;
    assert!(!renews(&memory, "second", None).await && !renews(&memory, "first", Some("a")).await);
    manual.set(OWED_FOR.as_secs() + 1);
    memory.end(ending("c", manual.now() + 1), Vec::new()).await.expect("written");
    assert!(renews(&memory, "second", Some("a")).await, "no browser has it any more");
}

async fn past_so_many_debts_no_sign_in_should_be_taken_and_none_is_forgotten(fixture: Fixture) {
    let manual = ManualClock::default();
    let (memory, _) = fixture.open(&manual).await;
    assert!(!memory.is_full().await.expect("read"));
    fixture.fill(&memory, DEBTS_MAX - 1, Some("s")).await;
    assert!(!memory.is_full().await.expect("read"));
    memory.end(ending("a", 10), vec![renewing("last", "a")]).await.expect("written");
    assert!(memory.is_full().await.expect("read"));
    memory.end(ending("b", 10), vec![renewing("one more", "b")]).await.expect("written");
    assert!(is_owed(&memory, "last").await && is_owed(&memory, "one more").await);
}

async fn the_later_of_two_ends_counts_and_debts_are_read_in_their_order(fixture: Fixture) {
    let manual = ManualClock::default();
    let (memory, _) = fixture.open(&manual).await;
    for until in [20, 30, 10] {
        let token = format!("until {until}");
        memory.end(ending("a", until), vec![renewing(&token, "a")]).await.expect("written");
        // The same debt is one.
        memory.end(ending("a", until), vec![renewing(&token, "a")]).await.expect("written");
    }
    assert_eq!(tokens(&memory).await, ["until 20", "until 30", "until 10"]);
    let first = memory.debts(0, 1).await.expect("read").remove(0);
    let behind = memory.debts(first.number, 1).await.expect("read");
    assert_eq!(behind[0].token, "until 30");
    manual.set(29);
    assert!(fixture.open(&manual).await.1.contains("a"));
    manual.set(30);
    assert!(!fixture.open(&manual).await.1.contains("a"));
}

async fn an_event_of_a_service_is_remembered_by_everybody_who_subscribes(fixture: Fixture) {
    let folder = tempfile::tempdir().expect("a place");
    let (topic, clock) = (Topic::parse("account").expect("a topic"), clock::component());
    let log = Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone());
    let log: Arc<dyn Broker> = Arc::new(log.expect("a log"));
    let publishes = events::store::Publishes {
        source: "account".into(),
        topic,
        partitions: events::Partitions::ONE,
    };
    let topic = publishes.topic.clone();
    let path = folder.path().join("account.db");
    let options = Options { path, schema: &[], publishes: Some(publishes), clock: clock.clone() };
    let account = Database::open(options).expect("it opens");
    let ended = Ended::new(LIMIT);
    let memory =
        Memory::at(fixture.location.clone(), &ended, clock.clone()).await.expect("it opens");
    let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
    let subscription = Subscription::new(
        "gateway.account",
        topic,
        memory.database().clone(),
        log.clone(),
        memory.handler(),
        retry,
        clock.clone(),
    );
    let (until, sid) = (clock() + SignedDuration::from_hours(1), "s");
    let data = SessionEnded::new(sid, until);
    let other = Draft::new("UserRegistered", "a@b", 1, &1, &Cause::default());
    let draft = Draft::new(SESSION_ENDED, sid, 1, &data, &Cause::default());
    let publish = account.write([other, draft], |drafts, tx| {
        Box::pin(async move {
            for draft in drafts {
                tx.publish(draft.clone()).await?;
            }
            Ok::<_, Error>(())
        })
    });
    publish.await.expect("committed");
    let heard = async {
        while !ended.contains(sid) {
            tokio::task::yield_now().await;
        }
    };
    let relay = Relay::new(account.clone(), log).run(std::future::pending());
    tokio::select! {
        () = relay => {}
        () = subscription.run(std::future::pending()) => {}
        done = tokio::time::timeout(Duration::from_secs(30), heard) => {
            done.expect("in time");
        }
    }
    let again = Ended::new(LIMIT);
    crate::load(memory.database(), &again, clock()).await.expect("read");
    assert!(again.contains(sid), "on disk before it was told");
}
