//! The token endpoint, asked on our own behalf: a form there, an answer back.

use std::net::SocketAddr;

use bytes::Bytes;
use chassis::http::Problem;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::hygiene;
use crate::proxy::{Call, Core, Route};
use crate::who::Who;

/// The way to it, for one request of a client's.
pub(super) struct TokenEndpoint<'g> {
    pub(super) core: &'g Core,
    pub(super) route: &'g Route,
    pub(super) asked_by: AskedBy<'g>,
}

/// Whose request it is asked for.
#[derive(Clone, Copy)]
pub(super) struct AskedBy<'g> {
    /// What the client said of itself.
    pub(super) headers: &'g HeaderMap,
    /// Where it is.
    pub(super) peer: SocketAddr,
}

impl TokenEndpoint<'_> {
    /// Posts a form of `pairs` to `path`.
    ///
    /// # Errors
    /// As a proxied request is refused.
    pub(super) async fn ask(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> Result<http::Response<Bytes>, Problem> {
        let form = encoded(pairs);
        let AskedBy { headers, peer } = self.asked_by;
        let call = Call {
            parts: Box::new(request(path, headers, form.len())),
            who: Who::default(),
            peer,
            shared_with_app: false,
        };
        self.core.ask(self.route, call, form.into()).await
    }
}

fn request(path: &str, asked_by: &HeaderMap, length: usize) -> Parts {
    let mut request = Request::post(path).body(()).expect("a path that was checked");
    let headers = request.headers_mut();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let trace = HeaderName::from_static(chassis::http::trace::TRACEPARENT);
    for name in [HOST, trace].into_iter().chain(hygiene::ORIGINS) {
        for value in asked_by.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    request.into_parts().0
}

/// A form, encoded.
fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_cannot_be_escaped_from() {
        let cases = [
            (vec![("a", "b")], "a=b"),
            (vec![("a", "1@x.y"), ("b", "p&c=d%")], "a=1%40x.y&b=p%26c%3Dd%25"),
            (vec![("a", "가 +\r\n")], "a=%EA%B0%80+%2B%0D%0A"),
        ];
        for (pairs, expected) in cases {
            assert_eq!(encoded(&pairs), expected);
        }
    }
}
