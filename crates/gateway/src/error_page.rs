//! A refusal as a page: what a browser is shown in the place of a problem document, with the same
//! status.
//!
//! It is the app's own page, so that the app says in its own words what is wrong: it reads
//! `<meta name="yeoul-status" content="404">`, and `yeoul-retry-after` (whole seconds) where the answer
//! has that header. Without scripts a sentence for the status stands there, and a way on: in English, and
//! before it in the language that the settings give words for ([`Texts`]). What the refusal said of itself
//! in its headers stays; what it said of its document goes with it.
//!
//! Nothing of the request is in it and no text of the settings has markup, so nothing has to be escaped.

pub(crate) mod texts;

use std::fmt::Write;

use chassis::http::{Body, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG, LAST_MODIFIED, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::html;
use texts::Texts;
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
const PLAIN: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
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
        let (html, Cuts { head, body }) =
            cut.unwrap_or_else(|| (PLAIN, cuts(PLAIN).expect("a head")));
        let part = |text: &str| text.to_owned().into_boxed_str();
        ErrorPage {
            start: part(&html[..head]),
            head: part(&html[head..body]),
            rest: part(&html[body..]),
        }
    }

    /// The answer with a page in the place of its body, in English and in these texts' language.
    pub(crate) fn of(&self, mut response: Response, texts: Option<&Texts>) -> Response {
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
        let retry_after = retry_after.and_then(|it| it.parse().ok());
        let page = self.text(response.status(), retry_after, texts);
        *response.body_mut() = Body::full(page);
        let headers = response.headers_mut();
        // What else the refusal says (when to come back, who refused, cookies) is true of the page as well.
        for name in OF_THE_DOCUMENT {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HTML);
        headers.insert(CACHE_CONTROL, NO_STORE);
        html::guard(headers);
        vary_by_accept(headers);
        response
    }

    fn text(&self, status: StatusCode, retry_after: Option<u32>, texts: Option<&Texts>) -> String {
        let code = status.as_u16();
        let mut text =
            // At once as large as it gets.
            String::with_capacity(self.start.len() + self.head.len() + self.rest.len() + 512);
        text.push_str(&self.start);
        write!(text, "<meta name=\"yeoul-status\" content=\"{code}\">").expect("text grows");
        if let Some(seconds) = retry_after {
            write!(text, "<meta name=\"yeoul-retry-after\" content=\"{seconds}\">")
                .expect("text grows");
        }
        text.push_str(&self.head);
        let own = texts.map_or_else(String::new, |texts| texts.sentence(code));
        let home = texts.map_or_else(String::new, Texts::home);
        let english = sentence(status);
        write!(
            text,
            "<noscript><div class=\"page\"><p>{own}<span lang=\"en\">{english}</span> ({code})</p>\
             <p><a href=\"/\">{home}<span lang=\"en\">To the start</span></a></p></div></noscript>"
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
struct Cuts {
    head: usize,
    body: usize,
}

fn cuts(html: &str) -> Option<Cuts> {
    let head = html.find("<head>")? + "<head>".len();
    let end = head + html[head..].find("</head>")? + "</head>".len();
    let body = html[end..].find("<body").and_then(|at| {
        let tag = end + at;
        html[tag..].find('>').map(|close| tag + close + 1)
    });
    Some(Cuts { head, body: body.unwrap_or(end) })
}

/// What is said of a status.
fn sentence(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Sign in first.",
        403 => "You may not see this page.",
        404 | 410 => "There is no such page.",
        405 => "There is nothing to see here.",
        429 => "Too many requests. Come back in a moment.",
        400..500 => "The request is not acceptable.",
        502..505 => "Not available just now. Come back in a moment.",
        _ => "Something went wrong here.",
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
        let (parts, body) = page.of(response, None).into_parts();
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
    fn the_shops_own_language_stands_before_the_english() {
        let settings = crate::settings::ErrorTexts {
            language: "de".to_owned(),
            home: "Zum Anfang".to_owned(),
            statuses: [("4xx", "Nein."), ("5xx", "Bald.")]
                .map(|(status, text)| (status.to_owned(), text.to_owned()))
                .into(),
        };
        let texts = Texts::compile(&settings, &mut mistakes::Mistakes::default());
        let page = ErrorPage::new("");
        let text = |texts| page.text(StatusCode::NOT_FOUND, None, texts);
        let english = "<span lang=\"en\">There is no such page.</span> (404)</p>";
        assert!(text(None).contains(&format!("<p>{english}")));
        let both = text(Some(&texts));
        assert!(both.contains(&format!("<p><span lang=\"de\">Nein.</span> · {english}")), "{both}");
        let start =
            "<a href=\"/\"><span lang=\"de\">Zum Anfang</span> · <span lang=\"en\">To the start";
        assert!(both.contains(start), "{both}");
    }

    #[test]
    fn every_status_of_a_refusal_has_a_sentence() {
        for code in 400..600 {
            let english = sentence(StatusCode::from_u16(code).expect("a status"));
            assert!(!english.is_empty() && english.is_ascii(), "{code}");
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
