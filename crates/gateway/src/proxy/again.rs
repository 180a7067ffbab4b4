//! A request once more, read back from the bytes that were sent of it.
//!
//! It is needed when a service closes an idle connection as it is taken up: seldom, so that all that a
//! request pays for it is a copy of its head's bytes ([`socket`](super::socket)). What comes out is the
//! request as it was handed over; whatever the parser wrote by itself (a length) says the same again.

use http::header::TRANSFER_ENCODING;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::upload::Upload;

/// More fields than a request of ours can have: those of a head at the edge, and what is added.
const FIELDS_MAX: usize = 2 * chassis::http::HeadLimits::BEHIND.fields;

/// What may be sent again of this request, if it may: its body (RFC 9110, section 9.2.2).
pub(super) fn spare(request: &Request<Upload>) -> Option<Upload> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    if safe { request.body().again() } else { None }
}

/// The request of which this was sent; nothing where its head had not been written.
pub(super) fn read(sent: &[u8], body: Upload) -> Option<Box<Request<Upload>>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    if !head.parse(sent).is_ok_and(|parsed| parsed.is_complete()) {
        return None;
    }
    let mut request = Box::new(Request::new(body));
    *request.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
    *request.uri_mut() = head.path?.parse::<Uri>().ok()?;
    for field in head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        // How the body is sent, the parser decides anew.
        if name != TRANSFER_ENCODING {
            request.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_as_it_was_sent() {
        let sent =
            b"PUT /a?b=\"c HTTP/1.1\r\nhost: a\r\nx: \xe9 y\r\nx: z\r\ncontent-length: 5\r\n\
                     transfer-encoding: chunked\r\n\r\nhello";
        assert!(read(sent, Upload::Whole(None)).is_none(), "no parser wrote such a target");
        let sent = b"PUT /a?b=c HTTP/1.1\r\nhost: a\r\nx: \xe9 y\r\nx: z\r\ncontent-length: 5\r\n\
                     transfer-encoding: chunked\r\n\r\nhello";
        let request = read(sent, Upload::Whole(Some("hello".into()))).expect("a head");
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (&Method::PUT, "/a?b=c")
        );
        let fields: Vec<(&str, &[u8])> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(
            fields,
            [("host", &b"a"[..]), ("x", b"\xe9 y"), ("x", b"z"), ("content-length", b"5")]
        );
        assert!(request.body().is_whole());
        for cut in [0, 1, 20, sent.len() - "\r\nhello".len() - 1] {
            assert!(read(&sent[..cut], Upload::Whole(None)).is_none(), "{cut}");
        }
    }
}
