//! The table of keys: apart from each other, within its bound, and fair under a flood.

use std::collections::HashMap;

use super::*;
use crate::rate::quota::Decided;

fn admitted(table: &Keyed<u32>, key: u32, calls: u32, now: Instant) -> u32 {
    (0..calls).map(|_| u32::from(table.check(&key, now).is_ok())).sum()
}

#[test]
fn each_key_has_a_quota_of_its_own() {
    let now = origin();
    let table: Keyed<String> = Keyed::new(quota(1, 2), now, 10);
    assert!(table.is_empty());
    for key in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(table.check(key, now).expect("the burst").remaining, 1);
        assert!(table.check(key, now).is_ok());
        let refused = table.check(key, now).expect_err("one past the burst");
        assert_eq!(refused.retry_after, Duration::from_secs(1));
    }
    assert_eq!(table.len(), 2);
}

#[test]
fn the_number_of_keys_is_taken_at_its_limits() {
    let now = origin();
    for keys_max in [1, KEYS_MAX] {
        assert!(Keyed::<u32>::new(quota(1, 1), now, keys_max).check(&1, now).is_ok());
    }
}

#[test]
#[should_panic(expected = "keys_max=`0`")]
fn a_table_for_no_key_is_a_mistake() {
    let _ = Keyed::<u32>::new(quota(1, 1), origin(), 0);
}

#[test]
#[should_panic(expected = "keys_max=`1048577`")]
fn a_table_past_its_limit_is_a_mistake() {
    let _ = Keyed::<u32>::new(quota(1, 1), origin(), KEYS_MAX + 1);
}

#[test]
fn a_flood_of_keys_never_grows_the_table_past_its_limit() {
    for keys_max in [1, 2, 255, 257, 512, 1_000, 4_099] {
        let now = origin();
        let table: Keyed<u32> = Keyed::new(quota(1, 5), now, keys_max);
        for key in 0..20_000 {
            table.check(&key, now).expect("a fresh key has its whole quota");
            if key % 1_000 == 0 {
                assert!(table.len() <= keys_max);
            }
        }
        assert_eq!(table.len(), keys_max, "and the room there is, is used");
    }
}

#[test]
fn the_last_place_is_used_before_a_key_is_forgotten() {
    let now = origin();
    let table: Keyed<u32> = Keyed::new(quota(1, 1), now, 3);
    (0..3).for_each(|key| assert!(table.check(&key, now).is_ok()));
    (0..3).for_each(|key| assert!(table.check(&key, now).is_err(), "all three are known"));
    // One past the limit: one of them is forgotten, and only one.
    assert!(table.check(&3, now).is_ok());
    assert_eq!(table.len(), 3);
}

#[test]
fn an_idle_key_makes_room_before_one_that_owes() {
    let start = origin();
    let table: Keyed<u32> = Keyed::new(quota(1, 10), start, 2);
    // Key 2 came later and owes less than key 1, but it is key 3 that is idle when 4 comes.
    assert_eq!(admitted(&table, 1, 10, start), 10);
    assert_eq!(admitted(&table, 3, 2, start), 2);
    let later = start + Duration::from_secs(3);
    assert_eq!(admitted(&table, 4, 1, later), 1);
    assert_eq!(admitted(&table, 1, 10, later), 3, "three seconds' worth, nothing forgotten");
}

#[test]
fn a_flood_of_fresh_keys_does_not_forgive_a_debt() {
    for keys_max in [8, 1_024] {
        let start = origin();
        let table: Keyed<u32> = Keyed::new(quota(10, 20), start, keys_max);
        let debtor = u32::MAX;
        assert_eq!(admitted(&table, debtor, 100, start), 20);
        let mut more = 0;
        for turn in 0..20_000 {
            let now = start + Duration::from_micros(50) * turn;
            assert!(table.check(&turn, now).is_ok());
            more += admitted(&table, debtor, 1, now);
        }
        // A second passed: ten calls at the rate, and not one for the flood.
        assert_eq!(more, 9, "with {keys_max} keys");
    }
}

#[test]
fn a_debtor_that_is_silent_during_the_flood_still_owes_after_it() {
    let start = origin();
    let table: Keyed<u32> = Keyed::new(quota(1, 60), start, 8);
    assert_eq!(admitted(&table, u32::MAX, 100, start), 60);
    let later = start + Duration::from_secs(10);
    (0..1_000).for_each(|key| assert!(table.check(&key, later).is_ok()));
    assert_eq!(admitted(&table, u32::MAX, 100, later), 10);
}

#[test]
fn of_keys_that_all_owe_the_one_that_owes_least_is_forgotten() {
    let now = origin();
    let table: Keyed<u32> = Keyed::new(quota(1, 10), now, 3);
    for (key, calls) in [(1, 9), (2, 4), (3, 6)] {
        assert_eq!(admitted(&table, key, calls, now), calls);
    }
    assert_eq!(admitted(&table, 4, 8, now), 8);
    assert_eq!(admitted(&table, 1, 10, now), 1);
    assert_eq!(admitted(&table, 3, 10, now), 4);
    assert_eq!(admitted(&table, 4, 10, now), 2);
    assert_eq!(admitted(&table, 2, 10, now), 10, "forgotten, so it has its whole quota");
}

#[test]
fn threads_together_are_admitted_the_burst_of_each_key() {
    let now = origin();
    let table: Keyed<u32> = Keyed::new(quota(1, 50), now, 1_000);
    let (total, start) = (AtomicU32::new(0), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for key in 0..100 {
                    total.fetch_add(admitted(&table, key, 30, now), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 100 * 50);
    assert_eq!(table.len(), 100);
}

proptest! {
    #[test]
    fn a_table_with_room_is_a_limiter_for_each_key(
        rate in 1..=50_u32,
        burst in 1..=5_u32,
        calls in prop::collection::vec((0..20_u32, 0..40_u64), 1..300),
    ) {
        let start = origin();
        let table: Keyed<u32> = Keyed::new(quota(rate, burst), start, 20);
        let mut limiters = HashMap::new();
        let mut now = start;
        for (key, millis) in calls {
            now += Duration::from_millis(millis);
            let limiter =
                limiters.entry(key).or_insert_with(|| Limiter::new(quota(rate, burst), start));
            prop_assert_eq!(table.check(&key, now), limiter.check(now));
        }
        prop_assert_eq!(table.len(), limiters.len());
    }

    #[test]
    fn a_table_forgets_the_key_that_is_whole_again_first(
        keys_max in 1..=6_usize,
        calls in prop::collection::vec((0..12_u32, 0..900_u64), 1..300),
    ) {
        let start = origin();
        let quota = quota(2, 4);
        let table: Keyed<u32> = Keyed::new(quota, start, keys_max);
        let mut model: HashMap<u32, u64> = HashMap::new();
        let mut now = 0;
        for (key, millis) in calls {
            // A nanosecond more each time, so that no two keys are whole again at once.
            now += millis * 1_000_000 + 1;
            let whole_at = model.get(&key).copied().unwrap_or(0);
            let decided = quota.decide(whole_at, now);
            if let Ok(Decided { whole_at, .. }) = decided {
                if !model.contains_key(&key) && model.len() == keys_max {
                    let soonest = model.iter().min_by_key(|entry| entry.1).map(|entry| *entry.0);
                    model.remove(&soonest.expect("a full table has a key"));
                }
                model.insert(key, whole_at);
            }
            let seen = table.check(&key, start + Duration::from_nanos(now));
            prop_assert_eq!(seen, decided.map(|decided| decided.allowed));
            prop_assert_eq!(table.len(), model.len());
        }
    }
}
