//! The windows at their limits, by hand-set time.

use chassis::clock;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn attempts() -> (Attempts, Instant) {
    (Attempts::new(&SignIn::default()), clock::now())
}

/// Tries once; whether it was let, and wrong then.
fn wrong(attempts: &mut Attempts, guess: &Guess, now: Instant) -> bool {
    let goes = attempts.begin(guess, now) == Verdict::Go;
    if goes {
        attempts.end(guess, Some(false), now);
    }
    goes
}

#[test]
fn ten_are_wrong_for_one_account_and_address_and_the_eleventh_waits_for_the_first_to_be_past() {
    let (mut attempts, start) = attempts();
    let guess = attempts.guess("a", 1, true);
    for second in 0..10 {
        assert!(wrong(&mut attempts, &guess, start + Duration::from_secs(second)));
    }
    let at = start + Duration::from_secs(60);
    let refused = attempts.refused(&guess, at).expect("one past the limit");
    assert_eq!((refused.name, refused.limit, refused.within), ("sign-in", 10, 5 * MINUTE));
    assert_eq!(refused.retry_after, 4 * MINUTE);
    assert_eq!(attempts.refused(&attempts.guess("a", 2, true), at), None, "another address");
    assert_eq!(attempts.refused(&attempts.guess("b", 1, true), at), None, "another account");
    let past = start + 5 * MINUTE;
    assert!(wrong(&mut attempts, &guess, past), "the first has left the window");
    assert!(!wrong(&mut attempts, &guess, past), "and no other");
}

#[test]
fn a_hundred_are_wrong_from_one_address() {
    let (mut attempts, now) = attempts();
    let tried = (0..200).filter(|account| {
        let guess = attempts.guess(&format!("account {account}"), 1, false);
        wrong(&mut attempts, &guess, now)
    });
    assert_eq!(tried.count(), 100);
    assert_eq!(attempts.refused(&attempts.guess("fresh", 1, true), now).expect("429").limit, 100);
    assert_eq!(attempts.refused(&attempts.guess("fresh", 2, true), now), None);
}

#[test]
fn guesses_from_everywhere_lock_strangers_out_and_never_an_owner_at_home() {
    let (mut attempts, now) = attempts();
    let tried = (0..500).filter(|address| {
        let guess = attempts.guess("a", address, false);
        wrong(&mut attempts, &guess, now)
    });
    assert_eq!(tried.count(), 100);
    assert!(attempts.refused(&attempts.guess("a", 999, false), now).is_some());
    assert_eq!(attempts.refused(&attempts.guess("a", 999, true), now), None);
}

#[test]
fn what_is_under_way_could_be_the_one_too_many() {
    let (mut attempts, now) = attempts();
    let guess = attempts.guess("a", 1, true);
    for _ in 0..9 {
        assert!(wrong(&mut attempts, &guess, now));
    }
    assert_eq!(attempts.begin(&guess, now), Verdict::Go);
    assert_eq!(attempts.begin(&guess, now), Verdict::Wait);
    attempts.end(&guess, None, now);
    assert_eq!(attempts.begin(&guess, now), Verdict::Go);
    attempts.end(&guess, Some(true), now);
    for _ in 0..10 {
        assert!(wrong(&mut attempts, &guess, now), "who was right begins anew");
    }
    assert!(matches!(attempts.begin(&guess, now), Verdict::Refuse(_)));
}

#[test]
fn right_ones_side_by_side_are_no_failures() {
    let (mut attempts, now) = attempts();
    let guess = attempts.guess("a", 1, true);
    for _ in 0..1_000 {
        assert_eq!(attempts.begin(&guess, now), Verdict::Go);
        attempts.end(&guess, Some(true), now);
    }
    assert_eq!(attempts.refused(&guess, now), None);
}

#[test]
fn the_memory_is_bounded_and_empties() {
    let (mut attempts, now) = attempts();
    for address in 0..=FAILURES_MAX {
        let guess = attempts.guess("a", address, false);
        attempts.fail(&guess, now);
    }
    assert!(attempts.windows.iter().all(|window| window.order.len() == FAILURES_MAX));
    attempts.sweep(now + 5 * MINUTE);
    let empty = |window: &Window| window.order.is_empty() && window.failures.is_empty();
    assert!(attempts.windows.iter().all(empty));
}

#[test]
fn sign_ups_have_a_burst_and_a_rate_by_address() {
    let (mut sign_ups, now) = (SignUps::new(&SignUp::default()), clock::now());
    for _ in 0..300 {
        assert_eq!(sign_ups.take(1, now), Ok(()));
    }
    let refused = sign_ups.take(1, now).expect_err("one past the burst");
    assert_eq!((refused.limit, refused.retry_after), (300, Duration::from_secs(1)));
    assert_eq!(sign_ups.take(2, now), Ok(()));
    assert_eq!(sign_ups.take(1, now + Duration::from_secs(1)), Ok(()));
    assert!(sign_ups.take(1, now + Duration::from_secs(1)).is_err());
}
