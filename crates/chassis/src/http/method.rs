//! Methods in another case: refused, because somebody behind might take `post` for `POST`.
//!
//! Methods are case-sensitive (RFC 9110 §9.1), so `post` is none that anybody routes, guards or
//! closes, and a server that does not look so closely would do what it stands for.

use http::Method;

/// The methods of RFC 9110 and RFC 5789.
const KNOWN: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Whether it is a known method, but for its case.
pub fn is_miscased(method: &Method) -> bool {
    is_miscased_of(method, KNOWN.into_iter())
}

/// Whether it is one of `known`, but for its case.
pub fn is_miscased_of<'m>(method: &Method, mut known: impl Iterator<Item = &'m str>) -> bool {
    let text = method.as_str();
    text.bytes().any(|byte| byte.is_ascii_lowercase())
        && known.any(|known| known != text && known.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_method_in_another_case_is_told_from_all_others() {
        for miscased in ["post", "Post", "gET", "head", "delete", "patcH", "trace", "Connect"] {
            let method = Method::from_bytes(miscased.as_bytes()).expect("a method");
            assert!(is_miscased(&method), "{miscased}");
        }
        for other in ["GET", "POST", "PATCH", "PURGE", "purge", "posts", "G3T", "PROPFIND"] {
            let method = Method::from_bytes(other.as_bytes()).expect("a method");
            assert!(!is_miscased(&method), "{other}");
        }
        let purge = Method::from_bytes(b"Purge").expect("a method");
        assert!(is_miscased_of(&purge, ["PURGE"].into_iter()));
        assert!(!is_miscased_of(&purge, ["PURGE", "Purge"][1..].iter().copied()));
    }
}
