//! The single-page app: its files from memory, and its one page.
//!
//! Files whose name carries a hash of their content may be kept for ever; everything else is asked
//! for again by its entity tag. Codings were made when the app was built, never per request.
//!
//! Without a built app there is one plain page that says how to build it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use chassis::http::{Body, Response, etag};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use views::Encoding;

use crate::error_page::ErrorPage;
use crate::error_page::texts::Texts;
use crate::html;
use crate::negotiation;

/// Where the app's page lies among its files.
const INDEX: &str = "/index.html";
/// Files below this carry their hash in their name.
const HASHED: &str = "/assets/";
/// The page where no app was built.
const UNBUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Yeoul</title>\
    <h1>The web app is not built</h1><p>Run <code>cargo xtask up</code>, then reload this page. \
    Everything else is served already.</p></html>\n";

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");

/// One file of the built app.
#[derive(Clone, Debug)]
pub struct AppFile {
    /// Its path: `/assets/index-BjMoMPkO.js`.
    pub path: String,
    /// Its content.
    pub identity: Bytes,
    /// Its content in Brotli.
    pub br: Option<Bytes>,
    /// Its content in gzip.
    pub gzip: Option<Bytes>,
}

/// The files of the built app.
#[derive(Debug)]
pub struct AppFiles {
    files: HashMap<String, File>,
    index: File,
    head: String,
    errors: ErrorPage,
}

/// A path of the app, and what lies there as `Content-Type` has it.
pub(crate) struct PathKind<'f> {
    pub(crate) path: &'f str,
    pub(crate) kind: &'static str,
}

/// A file with everything that its answers say.
#[derive(Debug)]
struct File {
    kind: HeaderValue,
    caching: HeaderValue,
    html: bool,
    /// By the place of their coding in [`Encoding::ALL`].
    codings: [Option<Coded>; Encoding::ALL.len()],
}

#[derive(Debug)]
struct Coded {
    encoding: Encoding,
    body: Bytes,
    etag: HeaderValue,
}

impl AppFiles {
    /// Takes the files of a built app; none if it was not built.
    pub fn new(files: Vec<AppFile>) -> AppFiles {
        let mut files: HashMap<String, File> =
            files.into_iter().map(|file| (file.path.clone(), File::new(&file))).collect();
        let unbuilt = || {
            File::new(&AppFile {
                path: INDEX.to_owned(),
                identity: UNBUILT.as_bytes().into(),
                br: None,
                gzip: None,
            })
        };
        let index = files.remove(INDEX);
        let text = index.as_ref().map_or_else(String::new, File::text);
        let (head, errors) = (head_of(&text), ErrorPage::new(&text));
        AppFiles { files, index: index.unwrap_or_else(unbuilt), head, errors }
    }

    /// The HTML that loads the app, for the head element of pages rendered elsewhere; empty if it
    /// was not built.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Puts one more file beside them.
    pub fn add(&mut self, file: &AppFile) {
        self.files.insert(file.path.clone(), File::new(file));
    }

    /// What lies at every path.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = PathKind<'_>> {
        self.files.keys().map(|path| PathKind { path, kind: kind(path) })
    }

    /// Whether a file lies there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The file at `path`, if there is one.
    pub(crate) fn file(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        Some(self.files.get(path)?.answer(headers))
    }

    /// The app's page.
    pub(crate) fn page(&self, headers: &HeaderMap) -> Response {
        self.index.answer(headers)
    }

    /// The app's page for a refusal, with its status and headers.
    pub(crate) fn error_page(&self, refusal: Response, texts: Option<&Texts>) -> Response {
        self.errors.of(refusal, texts)
    }

    /// Whether a file of another build may have been there.
    pub(crate) fn is_of_a_build(path: &str) -> bool {
        path.starts_with(HASHED)
    }
}

impl File {
    fn new(file: &AppFile) -> File {
        let caching = if file.path.starts_with(HASHED) { FOR_EVER } else { NO_CACHE };
        let kind = kind(&file.path);
        let coded = |encoding: Encoding, body: Option<&Bytes>| {
            let body = body?.clone();
            Some(Coded { encoding, etag: tag(encoding, &body), body })
        };
        let codings = Encoding::ALL.map(|encoding| match encoding {
            Encoding::Br => coded(encoding, file.br.as_ref()),
            Encoding::Gzip => coded(encoding, file.gzip.as_ref()),
            Encoding::Identity => coded(encoding, Some(&file.identity)),
        });
        File {
            kind: HeaderValue::from_static(kind),
            caching,
            html: kind.starts_with("text/html"),
            codings,
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = self.whole(negotiation::encoding(headers));
        let own = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        // Compared with the tag of the coding that would be sent: the tags of two codings are two.
        if own.is_some_and(|own| etag::names(headers, IF_NONE_MATCH, own)) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(CONTENT_TYPE);
            response.headers_mut().remove(CONTENT_ENCODING);
        }
        response
    }

    fn whole(&self, encoding: Encoding) -> Response {
        let coded = self.coded(encoding);
        let mut response = Response::new(Body::full(coded.body.clone()));
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(CONTENT_TYPE, self.kind.clone());
        headers.insert(CACHE_CONTROL, self.caching.clone());
        headers.insert(ETAG, coded.etag.clone());
        headers.insert(VARY, VARIES);
        if coded.encoding != Encoding::Identity {
            let encoding = HeaderValue::from_static(coded.encoding.as_str());
            headers.insert(CONTENT_ENCODING, encoding);
        }
        if self.html {
            html::guard(headers);
        } else {
            headers.insert(X_CONTENT_TYPE_OPTIONS, html::NOSNIFF);
        }
        response
    }

    /// The wished coding, or the file as it is.
    fn coded(&self, wished: Encoding) -> &Coded {
        let at = |encoding: Encoding| {
            let place = Encoding::ALL.iter().position(|known| *known == encoding)?;
            self.codings[place].as_ref()
        };
        at(wished).or_else(|| at(Encoding::Identity)).expect("every file is there as it is")
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.coded(Encoding::Identity).body).into_owned()
    }
}

/// A strong entity tag of exactly these bytes.
fn tag(encoding: Encoding, body: &[u8]) -> HeaderValue {
    let mut hash = DefaultHasher::new();
    hash.write(body);
    let text = format!("\"{:016x}-{}\"", hash.finish(), encoding.as_str());
    HeaderValue::try_from(text).expect("digits and letters")
}

/// The script and link elements of an HTML document's head.
fn head_of(html: &str) -> String {
    let head = html.split("<head>").nth(1).and_then(|rest| rest.split("</head>").next());
    let mut rest = head.unwrap_or_default();
    let mut found = String::new();
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let end = match rest {
            _ if rest.starts_with("<script") => rest.find("</script>").map(|at| at + 9),
            _ => rest.find('>').map(|at| at + 1),
        };
        let Some(end) = end else { break };
        if rest.starts_with("<script") || rest.starts_with("<link") {
            found.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    found
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "avif" => "image/avif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use chassis::http::{Problem, Trace};
    use http::header::ACCEPT_ENCODING;

    use super::*;

    fn files() -> AppFiles {
        let index = "<html><head><meta charset=\"utf-8\"><title>T</title>\
            <link rel=\"icon\" href=\"/i.svg\"><script type=\"module\" src=\"/assets/a-1.js\"></script>\
            </head><body><script>no</script></body></html>";
        let file = |path: &str, identity: &'static str, br| AppFile {
            path: path.to_owned(),
            identity: identity.as_bytes().into(),
            br,
            gzip: None,
        };
        AppFiles::new(vec![
            file("/index.html", index, None),
            file("/assets/a-1.js", "alert(1)", Some(Bytes::from_static(b"BR"))),
            file("/theme.js", "x", None),
        ])
    }

    fn asking(encoding: &'static str, tag: &str) -> HeaderMap {
        HeaderMap::from_iter([
            (ACCEPT_ENCODING, HeaderValue::from_static(encoding)),
            (IF_NONE_MATCH, tag.parse().expect("a value")),
        ])
    }

    fn header(response: &Response, name: &str) -> Option<String> {
        response.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn hashed_files_are_kept_for_ever_and_others_asked_for_again() {
        let files = files();
        let asset = files.file("/assets/a-1.js", &asking("br", "\"x\"")).expect("a file");
        assert_eq!(
            header(&asset, "cache-control").as_deref(),
            Some("public, max-age=31536000, immutable")
        );
        assert_eq!(header(&asset, "content-encoding").as_deref(), Some("br"));
        assert_eq!(
            header(&asset, "content-type").as_deref(),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(header(&asset, "x-content-type-options").as_deref(), Some("nosniff"));
        let gzip = files.file("/assets/a-1.js", &asking("gzip", "\"x\"")).expect("a file");
        assert_eq!(header(&gzip, "content-encoding"), None, "there is no gzip of it");
        assert_ne!(header(&gzip, "etag"), header(&asset, "etag"));
        let theme = files.file("/theme.js", &HeaderMap::new()).expect("a file");
        assert_eq!(header(&theme, "cache-control").as_deref(), Some("no-cache"));
        assert!(files.file("/assets/other.js", &HeaderMap::new()).is_none());
        assert!(files.has("/theme.js") && !files.has("/index.html"));
    }

    #[test]
    fn the_page_is_html_with_its_policy_and_is_not_sent_twice() {
        let files = files();
        let page = files.page(&asking("br", "\"x\""));
        assert_eq!(page.status(), 200);
        let policy = header(&page, "content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'self'; img-src 'self' data: https:;"), "{policy}");
        assert_eq!(header(&page, "vary").as_deref(), Some("Accept, Accept-Encoding"));
        let tag = header(&page, "etag").expect("a tag");
        let again = files.page(&asking("br", &tag));
        assert_eq!(
            (again.status(), header(&again, "etag")),
            (StatusCode::NOT_MODIFIED, Some(tag.clone()))
        );
        let refusal = Problem::unauthorized().into_response(&Trace::start());
        let sign_in = files.error_page(refusal, None);
        assert_eq!((sign_in.status(), header(&sign_in, "etag")), (StatusCode::UNAUTHORIZED, None));
        assert_eq!(header(&sign_in, "cache-control").as_deref(), Some("no-store"));
    }

    #[test]
    fn the_head_is_what_loads_the_app() {
        assert_eq!(
            files().head(),
            "<link rel=\"icon\" href=\"/i.svg\"><script type=\"module\" src=\"/assets/a-1.js\"></script>"
        );
        let unbuilt = AppFiles::new(Vec::new());
        assert_eq!(unbuilt.head(), "");
        assert!(unbuilt.index.text().contains("cargo xtask up"));
        assert_eq!(head_of("<head><script src=x>"), "", "never ends");
    }
}
