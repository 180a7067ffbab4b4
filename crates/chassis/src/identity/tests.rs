//! What opens, what does not, and what is remembered.

use std::time::Duration;

use super::*;

fn role(name: &str) -> Role {
    Role::parse(name).expect("a role")
}

const HOUR: Duration = Duration::from_secs(3600);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second")
}

#[test]
fn a_token_opens_until_it_expires() {
    let signer = fixture::signer();
    let verifier = fixture::verifier(&signer.public_keys());
    let token =
        fixture::token(&signer, "1@uengine.org", &role("ORDER_CUSTOMER"), at(1_000), HOUR).text;
    for _ in 0..2 {
        let principal = verifier.verify(&token, at(4_599)).expect("valid");
        assert_eq!(principal.subject, "1@uengine.org");
        assert_eq!(principal.role.as_str(), "ORDER_CUSTOMER");
    }
    assert_eq!(verifier.verify(&token, at(4_600)), Err(TokenRefusal::Expired));
}

#[test]
fn a_changed_or_foreign_token_opens_nothing() {
    let signer = fixture::signer();
    let verifier = fixture::verifier(&signer.public_keys());
    let good = fixture::token(&signer, "a@b", &role("ORDER_ADMIN"), at(0), HOUR).text;
    let foreign = fixture::token(&fixture::signer(), "a@b", &role("ORDER_ADMIN"), at(0), HOUR).text;
    let (head, rest) = good.split_once('.').expect("three parts");
    let (claims, signature) = rest.split_once('.').expect("three parts");
    // {"alg":"none"} and {"alg":"HS256"}, with the good token's claims.
    let cases = [
        foreign,
        String::new(),
        "x".repeat(TOKEN_BYTES_MAX + 1),
        format!("{head}.{claims}."),
        format!("{head}.{claims}x.{signature}"),
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!("eyJhbGciOiJIUzI1NiJ9.{claims}.{signature}"),
    ];
    for token in cases {
        assert_eq!(verifier.verify(&token, at(1)), Err(TokenRefusal::Invalid), "{token}");
    }
}

#[test]
fn a_token_of_another_issuer_opens_nothing_though_the_key_is_ours() {
    let place = tempfile::tempdir().expect("a place");
    let seed = secret(&place.path().join("key")).expect("a key");
    let signer = |issuer| Signer::from_seed(&seed, issuer);
    let (ours, theirs) = (signer("shop"), signer("other-shop"));
    let verifier = Verifier::of("shop");
    verifier.replace_keys(&ours.public_keys());
    let opens = |signer: &Signer| {
        let token = fixture::token(signer, "a@b", &role("USER"), at(0), HOUR).text;
        verifier.verify(&token, at(1)).is_ok()
    };
    assert_eq!((opens(&ours), opens(&theirs), verifier.issuer()), (true, false, "shop"));
}

#[test]
fn a_key_of_another_family_is_passed_over() {
    let keys = serde_json::json!({ "keys": [
        { "kty": "RSA", "kid": "r", "alg": "RS256", "e": "AQAB", "n": "AL64zn8_QnHYMeZ0LncoXaEde1fiLm1jHjmQsF_449IYALM9if6amFtPDy2yvz3YlRij66s5gyLCyO7ANuVRJx1NbgizcAblIgjtdf_u3WG7K-IiZhtELto_A7Fck9Ws6SQvzRvOE8uSirYbgmj6He4iO8NCyvaK0jIQRMMGQwsU1quGmFgHIXPLfnpnfajr1rVTAwtgV5LEZ4Iel-W1GC8ugMhyr4_p1MtcIM42EA8BzE6ZQqC7VPqPvEjZ2dbZkaBhPbiZAS3YeYBRDWm1p1OZtWamT3cEvqqPpnjL1XyW-oyVVkaZdklLQp2Btgt9qr21m42f4wTw-Xrp6rCKNb0" },
        { "kty": "oct", "kid": "h", "alg": "HS256", "k": "c2VjcmV0" },
    ] });
    let keys: JwkSet = serde_json::from_value(keys).expect("a key set");
    assert_eq!(keys.keys.len(), 2, "both can be read");
    let verifier = fixture::verifier(&keys);
    assert!(verifier.shared.read().expect("not poisoned").keys.is_empty());
}

#[test]
fn a_key_change_forgets_what_was_verified() {
    let (old, new) = (fixture::signer(), fixture::signer());
    let verifier = fixture::verifier(&old.public_keys());
    let token = fixture::token(&old, "a@b", &role("USER"), at(0), HOUR).text;
    assert!(verifier.verify(&token, at(1)).is_ok());
    verifier.replace_keys(&new.public_keys());
    assert_eq!(verifier.verify(&token, at(1)), Err(TokenRefusal::Invalid));
}

#[test]
fn the_key_file_is_private_and_survives() {
    use std::os::unix::fs::PermissionsExt;

    let place = tempfile::tempdir().expect("a place");
    let file = place.path().join("key");
    let first = secret(&file).expect("made");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(secret(&file).expect("read"), first);

    std::fs::write(&file, b"short").expect("written");
    assert!(secret(&file).is_err(), "a damaged key is refused, not replaced");
}

#[test]
fn the_memory_is_bounded() {
    let signer = fixture::signer();
    let verifier = fixture::verifier(&signer.public_keys());
    {
        let mut known = verifier.shared.write().expect("not poisoned");
        let principal = Arc::new(Principal {
            subject: String::new(),
            role: role("USER"),
            session: String::new(),
            issued: at(0),
            expires: at(9),
        });
        for number in 0..REMEMBERED_MAX {
            known.remembered.insert(number.to_string().into(), principal.clone());
        }
    }
    let token = fixture::token(&signer, "a@b", &role("USER"), at(0), HOUR).text;
    assert!(verifier.verify(&token, at(1)).is_ok());
    assert_eq!(verifier.shared.read().expect("not poisoned").remembered.len(), 1);
}

#[test]
fn every_token_of_a_sign_in_that_ended_is_refused_and_no_other() {
    let signer = fixture::signer();
    let verifier = fixture::verifier(&signer.public_keys());
    let first = fixture::token(&signer, "a@b", &role("USER"), at(0), HOUR);
    let renewed =
        signer.mint_in(&first.session, "a@b", &role("USER"), Life { from: at(1_000), lasts: HOUR });
    let other = fixture::token(&signer, "a@b", &role("USER"), at(0), HOUR).text;
    let principal = verifier.verify(&first.text, at(1_001)).expect("good");
    let until = principal.family_ends(at(1_001));
    assert_eq!(until, at(4_601), "as long as a token made at this moment would live");
    verifier.ended().end(&principal.session, until, at(1_001));
    for token in [&first.text, &renewed.text] {
        assert_eq!(verifier.verify(token, at(1_002)), Err(TokenRefusal::Ended));
        assert_eq!(verifier.inspect(token).expect("it was one").session, first.session);
    }
    assert!(verifier.verify(&other, at(1_002)).is_ok());
}

#[test]
fn what_is_no_token_of_ours_is_known_without_its_signature() {
    let signer = fixture::signer();
    let verifier = fixture::verifier(&signer.public_keys());
    let mint =
        |signer: &Signer| fixture::token(signer, "a@b", &role("ORDER_ADMIN"), at(0), HOUR).text;
    let (good, foreign) = (mint(&signer), mint(&fixture::signer()));
    let (text, signature) = good.rsplit_once('.').expect("three parts");
    let (head, claims) = text.split_once('.').expect("three parts");
    let forged = format!("{text}.{}", "A".repeat(signature.len()));
    assert_eq!(verifier.recall(&good), Recalled::Unchecked);
    let principal = verifier.verify(&good, at(1)).expect("good");
    assert_eq!(verifier.recall(&good), Recalled::Known(principal));
    // What was found to be forged is not remembered: only checking it tells.
    assert_eq!(verifier.verify(&forged, at(1)), Err(TokenRefusal::Invalid));
    assert_eq!(verifier.recall(&forged), Recalled::Unchecked);
    let long = "A".repeat(TOKEN_BYTES_MAX);
    for other in [
        "",
        "junk",
        "a.b.c",
        &foreign,
        &format!("{text}.{signature}A"),
        &format!("{text}.{}", &signature[1..]),
        &format!("{good}."),
        &format!("{head}..{signature}"),
        &format!(".{claims}.{signature}"),
        &format!("{head}.{claims}+.{signature}"),
        &format!("{head}.{long}.{signature}"),
        &format!("A{head}.{claims}.{signature}"),
    ] {
        assert_eq!(verifier.recall(other), Recalled::Foreign, "{other}");
    }
}

#[test]
fn keys_are_learned_from_a_set_that_has_some_and_from_no_other() {
    let signer = fixture::signer();
    let token = fixture::token(&signer, "a@b", &role("ORDER_ADMIN"), at(0), HOUR).text;
    let verifier = Verifier::of(fixture::ISSUER);
    let opens = |verifier: &Verifier| verifier.verify(&token, at(1)).is_ok();
    for nothing in ["", "{}", "[]", r#"{"keys":[]}"#] {
        assert_eq!(verifier.learn(nothing.as_bytes()), Err(NoKeys), "{nothing}");
        assert!(!opens(&verifier));
    }
    let set = serde_json::to_vec(&signer.public_keys()).expect("JSON");
    assert_eq!(verifier.learn(&set), Ok(()));
    assert!(opens(&verifier));
    // What it knows it keeps.
    assert_eq!(verifier.learn(br#"{"keys":[]}"#), Err(NoKeys));
    assert!(opens(&verifier));
}
