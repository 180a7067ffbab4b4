//! Passwords match their own hashes, the queue is bounded and fair, memory goes back.

use std::cell::Cell;
use std::rc::Rc;

use argon2::password_hash::phc::PasswordHash;

use super::*;

fn start() -> Passwords {
    Passwords::start(&SignIn::default()).expect("threads start")
}

fn guess(passwords: &Passwords) -> Guess {
    passwords.guess("a", 1, true)
}

#[tokio::test]
async fn a_password_matches_its_own_hash_alone() {
    let passwords = start();
    let phc = passwords.hash(guess(&passwords), "맞는 비밀번호".into()).await.expect("not busy");
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    let matches = async |password: &str, phc| {
        passwords.matches(guess(&passwords), password.into(), phc).await.expect("idle")
    };
    assert!(matches("맞는 비밀번호", Some(phc.clone())).await);
    assert!(!matches("wrong", Some(phc)).await);
    assert!(!matches("wrong", None).await);
    assert!(!matches("wrong", Some("no hash".into())).await);
}

#[test]
fn comparing_with_nobody_is_as_much_work_as_with_somebody() {
    let nobody = PasswordHash::new(NOBODY).expect("a hash");
    let somebody = hash(&mut Blocks::default(), "x").expect("a hash");
    let somebody = PasswordHash::new(&somebody).expect("a hash");
    assert_eq!(nobody.algorithm, somebody.algorithm);
    assert_eq!(nobody.params.to_string(), somebody.params.to_string());
    assert_eq!(
        nobody.hash.map(|hash| hash.as_bytes().len()),
        somebody.hash.map(|hash| hash.as_bytes().len())
    );
}

#[tokio::test]
async fn however_many_guess_at_once_no_more_are_wrong_than_may_be() {
    let passwords = start();
    let guesses = (0..60).map(|_| {
        let passwords = passwords.clone();
        tokio::spawn(async move { passwords.matches(guess(&passwords), "w".into(), None).await })
    });
    let (mut wrong, mut refused) = (0, 0);
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.expect("no panic") {
            Ok(right) => {
                assert!(!right);
                wrong += 1;
            }
            Err(NotNow::TooMany(_)) => refused += 1,
            Err(NotNow::Busy) => panic!("there is room for all of them"),
        }
    }
    assert_eq!((wrong, refused), (10, 50));
}

#[tokio::test]
async fn one_address_cannot_keep_another_out() {
    let passwords = start();
    let phc = passwords.hash(guess(&passwords), "right".into()).await.expect("not busy");
    let (asked, compared) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let local = tokio::task::LocalSet::new();
    let flood: Vec<_> = (0..200)
        .map(|number| {
            let (passwords, asked, compared) = (passwords.clone(), asked.clone(), compared.clone());
            let guess = passwords.guess(&format!("account {number}"), 1, false);
            local.spawn_local(async move {
                asked.set(asked.get() + 1);
                let outcome = passwords.matches(guess, "w".into(), None).await;
                compared.set(compared.get() + usize::from(outcome.is_ok()));
                outcome
            })
        })
        .collect();
    let owner = async {
        while asked.get() < 200 {
            tokio::task::yield_now().await;
        }
        for _ in 0..5 {
            let (guess, before) = (passwords.guess("owner", 2, true), compared.get());
            let right = passwords.matches(guess, "right".into(), Some(phc.clone())).await;
            assert_eq!(right, Ok(true), "a place is given up for another address");
            // Its turn comes after those under way; in one queue all that wait would go before it.
            let went_before = compared.get() - before;
            assert!(went_before < WAITING_MAX / 2, "{went_before} went before another address");
        }
    };
    local.run_until(owner).await;
    let mut busy = 0;
    for guess in flood {
        let outcome = local.run_until(guess).await.expect("no panic");
        busy += usize::from(outcome == Err(NotNow::Busy));
    }
    assert!(busy >= 200 - WAITING_MAX - 100, "the flood gave its own places up: {busy}");
}
