//! Schedules keep their promises, whatever the store.

use super::*;

#[tokio::test]
async fn what_is_due_is_published_in_its_turn_and_once_and_what_comes_again_comes_again() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let running = Running::start(place.location(), &clock, &received).await;
    assert!(running.put("paid/once", "at 1970-01-01T00:10:00Z").await.is_new);
    running.put("paid/later", "in 1200000").await;
    running.put("sent/hourly", "every UTC 0 * * * *").await;
    running.put("paid/past", "at 1960-01-01T00:00:00Z").await;
    until(async || received.has(1)).await;
    for (hours, count) in [(1, 4), (1, 5), (5, 6)] {
        clock.advance(hours * HOUR);
        until(async || received.has(count)).await;
    }
    let mut ids = received.ids();
    // Of two topics nobody says which is first.
    ids[1..4].sort();
    assert_eq!(
        ids,
        [
            "paid/past 1960-01-01T00:00:00Z",
            "paid/later 1970-01-01T00:20:00Z",
            "paid/once 1970-01-01T00:10:00Z",
            "sent/hourly 1970-01-01T01:00:00Z",
            "sent/hourly 1970-01-01T02:00:00Z",
            "sent/hourly 1970-01-01T03:00:00Z",
        ]
    );
    let shown = async |key| running.schedules.find(key).await.unwrap().unwrap();
    until(async || {
        let hourly = shown("sent/hourly").await;
        let is = (hourly.next, hourly.fired, hourly.occurrences);
        let expected = (Some(at(8 * 3600)), Some(at(3 * 3600)), 3);
        if is == expected { Ok(()) } else { Err(format!("{is:?}")) }
    })
    .await;
    let once = shown("paid/once").await;
    assert_eq!((once.next, once.fired, once.occurrences), (None, Some(at(600)), 1));
    until(async || match running.schedules.report() {
        Report { pending: 1, is_holder: true, trouble: None, late: Duration::ZERO, .. } => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_another_is_in_its_place_at_once() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let running = Running::start(place.location(), &clock, &received).await;
    let first = running.put("paid/a", "in 60000").await;
    clock.advance(Duration::from_secs(30));
    let again = running.put("paid/a", "in 60000").await;
    assert_eq!((again.schedule.next, again.is_new), (first.schedule.next, false));
    let other = running.put("paid/a", "in 60001").await;
    assert!(other.schedule.next > first.schedule.next && !other.is_new, "{other:?}");
    clock.advance(HOUR);
    until(async || received.has(1)).await;
    // What names its moment is the same also when it is over; what is counted from now is another one.
    running.put("paid/b", "at 1970-01-01T00:00:10Z").await;
    until(async || received.has(2)).await;
    until(async || {
        let over = running.put("paid/b", "at 1970-01-01T00:00:10Z").await;
        if over.schedule.next.is_none() { Ok(()) } else { Err("it is not noted".to_owned()) }
    })
    .await;
    assert!(running.put("paid/a", "in 60001").await.is_new);
    clock.advance(HOUR);
    until(async || received.has(3)).await;
    running.end().await;
}

#[tokio::test]
async fn what_is_cancelled_never_comes_and_what_is_over_cannot_be() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let running = Running::start(place.location(), &clock, &received).await;
    running.put("paid/a", "in 60000").await;
    running.put("paid/b", "in 60000").await;
    let cancel = async |key| running.schedules.cancel(key).await.unwrap();
    assert!(cancel("paid/a").await);
    assert!(!cancel("paid/a").await && !cancel("paid/c").await);
    clock.advance(HOUR);
    until(async || received.has(1)).await;
    assert!(received.ids()[0].starts_with("paid/b"));
    assert!(!cancel("paid/b").await, "it was published");
    assert!(
        running.schedules.find("paid/b").await.unwrap().is_none(),
        "and is forgotten with that"
    );
    running.end().await;
}

#[tokio::test]
async fn past_a_limit_nothing_is_kept_and_what_never_comes_neither() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let running = Running::start(place.location(), &clock, &received).await;
    let put = async |key: &str, moment: &str| running.schedules.put(key, &said(key, moment)).await;
    let limit = LIMITS.max_ahead.as_millis();
    assert!(put("paid/a", &format!("in {limit}")).await.is_ok());
    let past = put("paid/b", &format!("in {}", limit + 1)).await;
    assert!(matches!(past, Err(Refusal::Ahead { limit }) if limit == LIMITS.max_ahead), "{past:?}");
    let never = put("paid/b", "every UTC 0 0 30 2 *").await;
    assert!(matches!(never, Err(Refusal::Never)), "{never:?}");
    let far = put("paid/b", "every UTC 0 0 29 2 *").await;
    assert!(matches!(far, Err(Refusal::Ahead { .. })), "1972 is past the limit: {far:?}");
    for key in ["paid/b", "paid/c", "paid/d", "paid/e"] {
        put(key, "in 60000").await.unwrap();
    }
    let full = put("paid/f", "in 60000").await;
    assert!(matches!(full, Err(Refusal::Full { limit: 5 })), "{full:?}");
    put("paid/b", "in 70000").await.expect("in the place of another");
    running.schedules.cancel("paid/c").await.unwrap();
    put("paid/f", "in 60000").await.expect("there is room");
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    assert!(running.schedules.put(&long, &said("paid", "in 1")).await.is_err());
    running.schedules.cancel("paid/b").await.unwrap();
    running.schedules.put(&long[1..], &said("paid", "in 1")).await.expect("at the limit");
    clock.advance(HOUR);
    until(async || received.has(4)).await;
    until(async || match running.schedules.report().pending {
        1 => Ok(()),
        other => Err(format!("{other} wait")),
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn what_was_published_when_it_died_and_is_not_noted_is_published_once() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let received: Arc<Received> = Arc::default();
    received.is_deaf.store(true, Ordering::SeqCst);
    let running = Running::start(place.location(), &clock, &received).await;
    running.put("paid/a", "in 60000").await;
    running.put("paid/b", "every UTC * * * * *").await;
    clock.advance(Duration::from_secs(60));
    until(async || received.has(2)).await;
    place.crash(running).await;
    received.is_deaf.store(false, Ordering::SeqCst);
    let running = Running::start(place.location(), &clock, &received).await;
    until(async || {
        let over = running.schedules.find("paid/b").await.unwrap().unwrap();
        if over.occurrences == 1 { Ok(()) } else { Err("it is not noted".to_owned()) }
    })
    .await;
    assert_eq!(received.count(), 2, "{:?}", received.ids());
    assert!(received.offers.load(Ordering::SeqCst) > 1, "they were offered twice");
    clock.advance(Duration::from_secs(60));
    until(async || received.has(3)).await;
    running.end().await;
}

#[tokio::test]
async fn what_is_late_comes_at_once_after_a_start() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let schedules = open(place.location(), &clock).await;
    schedules.put("paid/a", &said("paid/a", "in 60000")).await.unwrap();
    schedules.database().close().await;
    clock.advance(2 * HOUR);
    let running = Running::start(place.location(), &clock, &received).await;
    until(async || received.has(1)).await;
    until(async || match received.late.lock().unwrap()[..] {
        [late] if late == 2 * HOUR - Duration::from_secs(60) => Ok(()),
        ref other => Err(format!("{other:?}")),
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn a_topic_that_takes_nothing_holds_up_no_other_and_is_named_until_it_does() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let received: Arc<Received> = Arc::default();
    received.closed.lock().unwrap().push("shut".to_owned());
    let running = Running::start(place.location(), &clock, &received).await;
    running.put("shut/a", "in 60000").await;
    running.put("paid/b", "in 60001").await;
    clock.advance(HOUR);
    until(async || received.has(1)).await;
    // It is nobody's lateness but its own: whoever looks after the process is told its name.
    running.tells(None, &["shut/a"], false).await;
    received.closed.lock().unwrap().clear();
    clock.advance(AGAIN_AFTER);
    until(async || received.has(2)).await;
    until(async || match running.schedules.report() {
        Report { trouble: None, late: Duration::ZERO, pending: 0, .. } => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn of_what_is_refused_together_one_is_put_aside_and_the_others_go_out() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let received: Arc<Received> = Arc::default();
    received.hurt.lock().unwrap().push("paid/b".to_owned());
    let running = Running::start(place.location(), &clock, &received).await;
    for key in ["paid/a", "paid/b", "paid/c", "paid/d"] {
        running.put(key, "in 60000").await;
    }
    clock.advance(HOUR);
    until(async || received.has(3)).await;
    running.tells(None, &["paid/b"], false).await;
    let aside = running.schedules.report().aside.remove(0);
    assert!(aside.why.contains("its row is hurt"), "{aside:?}");
    // What comes beside it while it is tried again goes out as well.
    running.put("paid/e", "in 9999").await;
    clock.advance(AGAIN_AFTER);
    until(async || received.has(4)).await;
    running.tells(None, &["paid/b"], false).await;
    assert!(running.schedules.cancel("paid/b").await.unwrap());
    running.tells(None, &[], false).await;
    running.end().await;
}

#[tokio::test]
async fn one_that_is_put_aside_keeps_no_trouble_from_ending() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let received: Arc<Received> = Arc::default();
    received.hurt.lock().unwrap().push("paid/b".to_owned());
    let running = Running::start(place.location(), &clock, &received).await;
    running.put("paid/b", "in 60000").await;
    clock.advance(HOUR);
    running.tells(None, &["paid/b"], false).await;
    // Its topic stores nothing for a while: it is late with whatever else is due there.
    for beside in [None, Some("paid/c")] {
        received.is_away.store(true, Ordering::SeqCst);
        if let Some(key) = beside {
            running.put(key, "in 9999").await;
        }
        clock.advance(AGAIN_AFTER);
        running.tells(Some("no disk"), &["paid/b"], true).await;
        received.is_away.store(false, Ordering::SeqCst);
        clock.advance(AGAIN_AFTER);
        running.tells(None, &["paid/b"], false).await;
    }
    until(async || received.has(1)).await;
    // And so with their store.
    let rename = async |from: &'static str, to: &'static str| {
        let rename = format!("ALTER TABLE {from} RENAME TO {to}");
        let renamed = running
            .schedules
            .database()
            .write(rename, |rename, tx| Box::pin(async move { tx.execute(rename, &[]).await }));
        renamed.await.unwrap();
    };
    rename("schedule_count", "elsewhere").await;
    running.tells(Some("schedule_count"), &["paid/b"], false).await;
    rename("elsewhere", "schedule_count").await;
    running.tells(None, &["paid/b"], false).await;
    running.end().await;
}

#[tokio::test]
async fn a_topic_that_is_taken_no_more_is_asked_once_for_all_that_are_due_to_it() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let received: Arc<Received> = Arc::default();
    received.closed.lock().unwrap().push("shut".to_owned());
    let schedules = open(place.location(), &clock).await;
    for key in ["shut/a", "shut/b", "shut/c"] {
        schedules.put(key, &said(key, "in 60000")).await.unwrap();
    }
    schedules.database().close().await;
    clock.advance(HOUR);
    let running = Running::start(place.location(), &clock, &received).await;
    running.tells(None, &["shut/a", "shut/b", "shut/c"], false).await;
    assert_eq!(received.offers.load(Ordering::SeqCst), 1, "nobody is asked once for each");
    running.end().await;
}

#[tokio::test]
async fn where_nothing_can_be_stored_all_are_late_together_and_none_is_blamed() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let received: Arc<Received> = Arc::default();
    received.is_away.store(true, Ordering::SeqCst);
    let schedules = open(place.location(), &clock).await;
    for key in ["paid/a", "paid/b", "paid/c", "paid/d"] {
        schedules.put(key, &said(key, "in 60000")).await.unwrap();
    }
    schedules.database().close().await;
    clock.advance(HOUR);
    let running = Running::start(place.location(), &clock, &received).await;
    running.tells(Some("no disk"), &[], true).await;
    assert_eq!(received.offers.load(Ordering::SeqCst), 1, "nobody is asked once for each");
    received.is_away.store(false, Ordering::SeqCst);
    clock.advance(AGAIN_AFTER);
    until(async || received.has(4)).await;
    running.tells(None, &[], false).await;
    running.end().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_decoded_is_looked_at_no_more_than_any_other() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let running = Running::start(place.location(), &clock, &received).await;
    running.put("paid/a", "every UTC 0 * * * *").await;
    let far = at(50_000_000).as_microsecond();
    let hurt = running.schedules.database().write(far, |far, tx| {
        let update = "UPDATE schedule SET moment = 'nonsense', published = ?1";
        Box::pin(async move { tx.execute(update, &[far]).await })
    });
    assert_eq!(hurt.await.unwrap(), 1);
    running.put("paid/b", "in 0").await;
    until(async || received.has(1)).await;
    until(async || {
        let ahead = running.schedules.database();
        let ahead = ahead.read(&0, |_, rows| Box::pin(rows::published_after(rows, 1, 10)));
        let left: Vec<String> = ahead.await.unwrap().into_iter().map(|it| it.key).collect();
        if left.iter().any(|it| it == "paid/a") { Err(format!("{left:?}")) } else { Ok(()) }
    })
    .await;
    clock.advance(HOUR);
    running.tells(None, &["paid/a"], false).await;
    running.end().await;
}

#[tokio::test]
async fn a_clock_that_steps_repeats_nothing_and_silences_nothing() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let running = Running::start(place.location(), &clock, &received).await;
    running.put("paid/hourly", "every UTC 0 * * * *").await;
    clock.advance(HOUR);
    until(async || received.has(1)).await;
    // Back by half an hour: the hour that it was comes no second time.
    clock.step_back(HOUR / 2);
    running.put("paid/now", "in 0").await;
    until(async || received.has(2)).await;
    clock.advance(HOUR / 2);
    running.put("paid/now", "in 1").await;
    clock.advance(Duration::from_millis(1));
    until(async || received.has(3)).await;
    assert_eq!(received.ids().iter().filter(|it| it.starts_with("paid/hourly")).count(), 1);
    // Forward by years, and back: what was skipped meanwhile is to come.
    clock.advance(50_000 * HOUR);
    until(async || received.has(4)).await;
    until(async || {
        let next = running.schedules.find("paid/hourly").await.unwrap().unwrap().next;
        if next > Some(at(50_000 * 3600)) { Ok(()) } else { Err(format!("{next:?}")) }
    })
    .await;
    clock.step_back(50_000 * HOUR);
    until(async || {
        let next = running.schedules.find("paid/hourly").await.unwrap().unwrap().next;
        if next == Some(at(7200)) { Ok(()) } else { Err(format!("{next:?}")) }
    })
    .await;
    clock.advance(HOUR);
    until(async || received.has(5)).await;
    running.end().await;
}

#[tokio::test]
async fn more_than_are_published_together_are_all_published_and_what_is_over_is_counted_out() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let schedules = place.many(&clock, 3 * AT_ONCE).await;
    schedules.database().close().await;
    clock.advance(HOUR);
    let running = Running::start(place.location(), &clock, &received).await;
    until(async || received.has(3 * AT_ONCE)).await;
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for event in received.events.lock().unwrap().iter() {
        *keys.entry(event.source.clone()).or_default() += 1;
    }
    assert!(keys.len() == 3 * AT_ONCE && keys.values().all(|it| *it == 1));
    until(async || match running.schedules.report().pending {
        0 => Ok(()),
        other => Err(format!("{other} wait")),
    })
    .await;
    running.end().await;
}
