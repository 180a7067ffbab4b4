//! Who a token says it is from, before anybody knows whether that is true.
//!
//! Nothing is opened by this: it only tells a token of ours that is no good from one that is between
//! a client and a service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;

use super::ISSUER;

/// Whether a bearer of these headers says that it is a token of ours.
pub fn names_us(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let text = value.as_bytes();
        let token = text.iter().position(|byte| *byte == b' ').map(|at| text[at..].trim_ascii());
        token.is_some_and(is_ours)
    })
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

fn is_ours(token: &[u8]) -> bool {
    let claims = token.split(|byte| *byte == b'.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let issuer = claims.and_then(|claims| serde_json::from_slice::<Issuer>(&claims).ok());
    issuer.is_some_and(|issuer| issuer.iss == ISSUER)
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
            assert_eq!(names_us(&headers), expected, "{value}");
        }
        assert!(!names_us(&HeaderMap::new()));
    }
}
