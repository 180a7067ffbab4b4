//! One HTTP call and its answer: never follows a redirect, never fails because of a status.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request};

use super::described::{self, Sent};
use super::timed;

static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent("")
        .accept_encoding("")
        .max_idle_connections(256)
        .max_idle_connections_per_host(64)
        .timeout_global(Some(Duration::from_secs(40)))
        .build()
        .new_agent()
});

/// A request about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// What came back, with the call it answers for messages.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
    call: String,
}

impl Call {
    pub(crate) fn new(method: &str, url: impl Into<String>) -> Call {
        let method = method.parse().expect("a method");
        Call { method, url: url.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Call {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Call {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn basic(self, credentials: &str) -> Call {
        self.header("authorization", format!("Basic {}", base64(credentials.as_bytes())))
    }

    pub(crate) fn html(self) -> Call {
        self.header("accept", "text/html")
    }

    pub(crate) fn content(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Call {
        self.body = Some(body.into());
        self.header("content-type", kind)
    }

    pub(crate) fn json(self, body: &Value) -> Call {
        self.content("application/json", body.to_string())
    }

    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Call {
        let mut form = form_urlencoded::Serializer::new(String::new());
        self.content("application/x-www-form-urlencoded", form.extend_pairs(pairs).finish())
    }

    /// Sends it; a broken connection fails the test.
    #[track_caller]
    pub(crate) fn send(self) -> Answer {
        match self.try_send() {
            Ok(answer) => answer,
            Err(broken) => panic!("{broken}"),
        }
    }

    /// Sends it; `Err` says what broke on the way (never a status). What a mall answers is held
    /// against its own description.
    #[track_caller]
    pub(crate) fn try_send(self) -> Result<Answer, String> {
        let (method, url) = (self.method.clone(), self.url.clone());
        let (wants_html, body) = (self.wants_html(), self.body.clone());
        let answer = self.try_send_unseen()?;
        let sent = Sent { method: method.as_str(), url: &url, wants_html, body: body.as_deref() };
        described::check(&sent, &answer);
        Ok(answer)
    }

    /// As [`Call::try_send`], and the answer is not held against the mall's description.
    pub(super) fn try_send_unseen(self) -> Result<Answer, String> {
        let call = format!("{} {}", self.method, self.url);
        let (took, result) = timed(|| self.exchange());
        let (status, headers, body) = result.map_err(|broken| format!("{call}: {broken}"))?;
        Ok(Answer { status, headers, body, took, call })
    }

    fn wants_html(&self) -> bool {
        let is_html = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("accept") && value.contains("text/html")
        };
        self.headers.iter().any(is_html)
    }

    fn exchange(self) -> Result<(u16, HeaderMap, Vec<u8>), ureq::Error> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let takes_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        let answer = match self.body {
            Some(body) => AGENT.run(request.body(body)?)?,
            None if takes_body => AGENT.run(request.body(Vec::<u8>::new())?)?,
            None => AGENT.run(request.body(())?)?,
        };
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(64 << 20).read_to_vec()?;
        Ok((parts.status.as_u16(), parts.headers, body))
    }
}

impl Answer {
    /// One that was read as bytes.
    pub(super) fn read(status: u16, headers: HeaderMap, body: Vec<u8>) -> Answer {
        Answer { status, headers, body, took: Duration::ZERO, call: "bytes".to_owned() }
    }

    /// An answer that nobody gave.
    pub(crate) fn made(status: u16, kind: &str, body: &str) -> Answer {
        let kind = kind.parse().expect("a header's value");
        let headers = HeaderMap::from_iter([(ureq::http::header::CONTENT_TYPE, kind)]);
        let (body, call) = (body.as_bytes().to_vec(), "made".to_owned());
        Answer { status, headers, body, took: Duration::ZERO, call }
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}: {}", self.call, self.text());
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A header that must be there.
    #[track_caller]
    pub(crate) fn must(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("{}: no {name}: {:?}", self.call, self.headers))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}): {}", self.call, self.text()))
    }

    /// A problem document of this status, complete and without anything from inside.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.call, self.text());
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{}: {kind}", self.call);
        let body = self.value();
        for member in ["type", "title", "detail", "trace"] {
            assert!(body[member].is_string(), "{}: no {member}: {body}", self.call);
        }
        assert_eq!(body["status"], status, "{}: {body}", self.call);
        for inside in [".rs", "panicked", "/src/", "sqlite", "SQLITE"] {
            assert!(!self.text().contains(inside), "{}: tells its inside: {body}", self.call);
        }
        body
    }

    /// A 400 whose `errors` name exactly `field`, with a reason.
    #[track_caller]
    pub(crate) fn refuses_field(&self, field: &str) {
        let body = self.problem(400);
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let named =
            errors.iter().any(|error| error["field"] == field && error["reason"].is_string());
        assert!(named, "{}: no error on `{field}`: {body}", self.call);
    }

    /// A refusal made by us (429, 503, 504): says when to come back, and who refused.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> Value {
        let body = self.problem(status);
        let seconds: u64 = self.must("retry-after").parse().expect("Retry-After in whole seconds");
        assert!(seconds >= 1, "{}: Retry-After {seconds}", self.call);
        let who = self.must("proxy-status");
        assert!(who.starts_with("yeoul; error="), "{}: Proxy-Status {who}", self.call);
        body
    }

    /// The list a HAL answer embeds.
    #[track_caller]
    pub(crate) fn embedded(&self, name: &str) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}: {}", self.call, self.text());
        let body = self.value();
        match body["_embedded"][name].as_array() {
            Some(list) => list.clone(),
            None => panic!("{}: no _embedded.{name}: {body}", self.call),
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding, for Basic credentials.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for place in 0..4 {
            let at = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[at]) } else { '=' });
        }
    }
    text
}
