//! Who a token says it is from, before anybody knows whether that is true.
//!
//! Nothing is opened by this: it only tells a token of ours that is no good from one that is between
//! a client and a service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;

/// Whether a bearer of these headers says that it is a token of `issuer`'s.
pub fn is_named(issuer: &str, headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let text = value.as_bytes();
        let token = text.iter().position(|byte| *byte == b' ').map(|at| text[at..].trim_ascii());
        token.is_some_and(|token| is_of(issuer, token))
    })
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

fn is_of(issuer: &str, token: &[u8]) -> bool {
    let claims = token.split(|byte| *byte == b'.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let named = claims.and_then(|claims| serde_json::from_slice::<Issuer>(&claims).ok());
    named.is_some_and(|named| named.iss == issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_is_told_from_others() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let cases = [
            (format!("Bearer {}", token("{\"iss\":\"yeoul\"}")), true),
            (format!("bearer  {}", token("{\"sub\":\"a\",\"iss\":\"yeoul\"}")), true),
            (format!("Bearer {}", token("{\"iss\":\"another\"}")), false),
            (format!("Bearer {}", token("{\"iss\":[\"yeoul\"]}")), false),
            (format!("Bearer {}", token("{}")), false),
            ("Bearer own-token".to_owned(), false),
            ("Bearer a.!!!.c".to_owned(), false),
            ("Bearer".to_owned(), false),
            ("Basic eWVvdWw6".to_owned(), false),
        ];
        for (value, expected) in cases {
            let headers = [(AUTHORIZATION, value.parse().expect("a value"))].into_iter().collect();
            assert_eq!(is_named("yeoul", &headers), expected, "{value}");
            assert!(!is_named("elsewhere", &headers), "{value}");
        }
        assert!(!is_named("yeoul", &HeaderMap::new()));
    }
}
