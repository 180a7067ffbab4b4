//! `Via`: every message says that it came through here, and one that did already is not passed on.
//!
//! The name is a pseudonym of this process (RFC 9110, section 7.6.3), made up at its start: a
//! gateway that stands before another one is no loop, and the same process met twice is one, however
//! many hops lie between. It does not know whose settings made the loop.

use http::header::{Entry, VIA};
use http::{HeaderMap, HeaderValue, Version};

/// What this process calls itself.
#[derive(Debug)]
pub(crate) struct Via {
    name: String,
    /// A member for each version that a message may have come by.
    http_10: HeaderValue,
    http_11: HeaderValue,
}

impl Via {
    /// A name with this number in it.
    pub(crate) fn new(number: u64) -> Via {
        let name = format!("yeoul-{number:016x}");
        let member = |version: &str| HeaderValue::try_from(format!("{version} {name}"));
        let [http_10, http_11] =
            ["1.0", "1.1"].map(|version| member(version).expect("a version and a plain name"));
        Via { name, http_10, http_11 }
    }

    /// Whether a message came through here before.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let name = self.name.as_bytes();
        let values = headers.get_all(VIA).iter().map(HeaderValue::as_bytes);
        values
            .into_iter()
            .any(|value| value.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)))
    }

    /// Says that a message came through here, after who else says so.
    pub(crate) fn add(&self, headers: &mut HeaderMap, version: Version) {
        let member = if version == Version::HTTP_10 { &self.http_10 } else { &self.http_11 };
        match headers.entry(VIA) {
            Entry::Vacant(place) => {
                place.insert(member.clone());
            }
            Entry::Occupied(_) => super::extend(headers, &VIA, member.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_came_through_here_is_known_however_far_it_went() {
        let (one, other) = (Via::new(1), Via::new(2));
        let mut headers = HeaderMap::new();
        assert!(!one.is_in(&headers));
        headers.append(VIA, HeaderValue::from_static("1.0 fred, 1.1 p.example (a, comment)"));
        other.add(&mut headers, Version::HTTP_11);
        assert!(!one.is_in(&headers) && other.is_in(&headers));
        one.add(&mut headers, Version::HTTP_10);
        headers.append(VIA, HeaderValue::from_static("1.1 last"));
        assert!(one.is_in(&headers) && other.is_in(&headers));
        let first = headers.get_all(VIA).iter().next().expect("a value");
        let expected = "1.0 fred, 1.1 p.example (a, comment), 1.1 yeoul-0000000000000002, \
                        1.0 yeoul-0000000000000001";
        assert_eq!(first, expected);
    }
}
