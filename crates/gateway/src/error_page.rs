//! A refusal as a page: what a browser is shown in the place of a problem document, with the same
//! status.
//!
//! It is the app's own page, so that the app says in its own words what is wrong: it reads
//! `<meta name="yeoul-status" content="404">`, and `yeoul-retry-after` (whole seconds) where the answer
//! has that header. Without scripts a sentence for the status stands there, and a way on. What the
//! refusal said of itself in its headers stays; what it said of its document goes with it.
//!
//! Nothing of the request is in it, so nothing has to be escaped.

use std::fmt::Write;

use chassis::http::{Body, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG, LAST_MODIFIED, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::html;

/// What a document says of itself, and no other document may say for it.
const OF_THE_DOCUMENT: [HeaderName; 7] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    ETAG,
    LAST_MODIFIED,
    ACCEPT_RANGES,
];
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const ACCEPT: HeaderValue = HeaderValue::from_static("Accept");

/// The page where the app has none.
const PLAIN: &str = "<!doctype html><html lang=\"ko\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Yeoul</title></head>\
    <body></body></html>\n";

/// The app's page, cut where something is added.
#[derive(Debug)]
pub(crate) struct ErrorPage {
    /// Up to the inside of the head.
    start: Box<str>,
    /// Up to the inside of the body.
    head: Box<str>,
    rest: Box<str>,
}

impl ErrorPage {
    /// Of an HTML document; of a plain one where this has no head.
    pub(crate) fn new(html: &str) -> ErrorPage {
        let cut = cuts(html).map(|cut| (html, cut));
        let (html, (head, body)) = cut.unwrap_or_else(|| (PLAIN, cuts(PLAIN).expect("a head")));
        let part = |text: &str| text.to_owned().into_boxed_str();
        ErrorPage {
            start: part(&html[..head]),
            head: part(&html[head..body]),
            rest: part(&html[body..]),
        }
    }

    /// The answer with a page in the place of its body.
    pub(crate) fn of(&self, mut response: Response) -> Response {
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
        let page = self.text(response.status(), retry_after.and_then(|it| it.parse().ok()));
        *response.body_mut() = Body::full(page);
        let headers = response.headers_mut();
        for name in OF_THE_DOCUMENT {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HTML);
        headers.insert(CACHE_CONTROL, NO_STORE);
        html::guard(headers);
        vary_by_accept(headers);
        response
    }

    fn text(&self, status: StatusCode, retry_after: Option<u32>) -> String {
        let (korean, english) = sentence(status);
        let code = status.as_u16();
        let mut text =
            String::with_capacity(self.start.len() + self.head.len() + self.rest.len() + 512);
        text.push_str(&self.start);
        write!(text, "<meta name=\"yeoul-status\" content=\"{code}\">").expect("text grows");
        if let Some(seconds) = retry_after {
            write!(text, "<meta name=\"yeoul-retry-after\" content=\"{seconds}\">")
                .expect("text grows");
        }
        text.push_str(&self.head);
        write!(
            text,
            "<noscript><div class=\"page\"><p>{korean} · <span lang=\"en\">{english}</span> ({code})</p>\
             <p><a href=\"/\">처음으로 · <span lang=\"en\">To the start</span></a></p></div></noscript>"
        )
        .expect("text grows");
        text.push_str(&self.rest);
        text
    }
}

/// Says that an answer depends on `Accept`, if nothing has said so.
pub(crate) fn vary_by_accept(headers: &mut HeaderMap) {
    let values = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let varies = values
        .flat_map(|list| list.split(','))
        .any(|name| matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("accept"));
    if !varies {
        headers.append(VARY, ACCEPT);
    }
}

/// Where the head and where the body of a document begin.
fn cuts(html: &str) -> Option<(usize, usize)> {
    let head = html.find("<head>")? + "<head>".len();
    let end = head + html[head..].find("</head>")? + "</head>".len();
    let body = html[end..].find("<body").and_then(|at| {
        let tag = end + at;
        html[tag..].find('>').map(|close| tag + close + 1)
    });
    Some((head, body.unwrap_or(end)))
}

/// What is said of a status, in Korean and in English.
fn sentence(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        401 => ("먼저 로그인해 주세요.", "Sign in first."),
        403 => ("볼 수 없는 페이지예요.", "You may not see this page."),
        404 | 410 => ("찾는 페이지가 없어요.", "There is no such page."),
        405 => ("여기서는 볼 것이 없어요.", "There is nothing to see here."),
        429 => (
            "요청이 너무 많아요. 잠시 뒤에 다시 와 주세요.",
            "Too many requests. Come back in a moment.",
        ),
        400..500 => ("요청을 이해할 수 없어요.", "The request is not acceptable."),
        502..505 => (
            "지금은 보여 드릴 수 없어요. 잠시 뒤에 다시 와 주세요.",
            "Not available just now. Come back in a moment.",
        ),
        _ => ("문제가 생겼어요.", "Something went wrong here."),
    }
}

#[cfg(test)]
mod tests {
    use chassis::http::{Problem, Trace};
    use http_body_util::BodyExt;

    use super::*;

    async fn shown(page: &ErrorPage, problem: Problem) -> (HeaderMap, String) {
        let mut response = problem.into_response(&Trace::start());
        response.headers_mut().insert(CONTENT_LENGTH, 7.into());
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"x\""));
        let (parts, body) = page.of(response).into_parts();
        let body = body.collect().await.expect("a full body").to_bytes();
        (parts.headers, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_headers_and_is_shown_in_the_apps_page() {
        let html =
            "<html><head><title>T</title></head><body class=\"b\"><div>app</div></body></html>";
        let page = ErrorPage::new(html);
        let (headers, text) = shown(&page, Problem::unavailable("connection_refused", 7)).await;
        assert!(
            text.starts_with("<html><head><meta name=\"yeoul-status\" content=\"503\">"),
            "{text}"
        );
        assert!(text.contains("<meta name=\"yeoul-retry-after\" content=\"7\"><title>T"), "{text}");
        assert!(
            text.contains("<body class=\"b\"><noscript>")
                && text.ends_with("<div>app</div></body></html>")
        );
        assert_eq!(headers[RETRY_AFTER], "7");
        assert!(headers.contains_key("proxy-status"));
        assert_eq!(headers[CONTENT_TYPE], HTML);
        assert_eq!((&headers[CACHE_CONTROL], &headers[VARY]), (&NO_STORE, &ACCEPT));
        assert!(headers.contains_key("content-security-policy"));
        assert!(!headers.contains_key(ETAG) && !headers.contains_key(CONTENT_LENGTH));

        let (headers, text) = shown(&page, Problem::unauthorized()).await;
        assert!(headers.contains_key("www-authenticate") && !text.contains("yeoul-retry-after"));
        let (headers, _) = shown(&page, Problem::method_not_allowed(&[http::Method::POST])).await;
        assert_eq!(headers["allow"], "POST");
    }

    #[tokio::test]
    async fn without_an_app_there_is_a_page_all_the_same() {
        for html in ["", "no document", "<head>without an end"] {
            let (_, text) = shown(&ErrorPage::new(html), Problem::not_found()).await;
            assert!(
                text.starts_with("<!doctype html>") && text.contains("content=\"404\""),
                "{text}"
            );
            assert!(text.contains("There is no such page"), "{text}");
        }
        let (_, text) = shown(&ErrorPage::new("<head></head>x"), Problem::not_found()).await;
        assert!(text.contains("</head><noscript>") && text.ends_with("</noscript>x"), "{text}");
    }

    #[test]
    fn every_status_of_a_refusal_has_a_sentence() {
        for code in 400..600 {
            let (korean, english) = sentence(StatusCode::from_u16(code).expect("a status"));
            assert!(!korean.is_empty() && english.is_ascii(), "{code}");
        }
    }

    #[test]
    fn what_an_answer_depends_on_is_said_once() {
        for (before, expected) in [
            (None, vec!["Accept"]),
            (Some("Accept-Encoding"), vec!["Accept-Encoding", "Accept"]),
            (Some("Cookie, accept"), vec!["Cookie, accept"]),
            (Some("*"), vec!["*"]),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(before) = before {
                headers.insert(VARY, HeaderValue::from_static(before));
            }
            vary_by_accept(&mut headers);
            let seen: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(seen, expected);
        }
    }
}
