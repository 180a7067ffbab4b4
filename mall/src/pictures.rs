//! The products' pictures, embedded by file name, with what HTTP needs to cache them.
//!
//! They are part of the program and change with it alone, so a strong tag from their bytes answers
//! every revalidation; names are not hashed, so a copy is fresh for a while only
//! ([`FRESH_SECONDS`]).

use std::fmt::Write;
use std::sync::LazyLock;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use chassis::http::{Body, Response, empty, etag};

/// How long a browser shows a picture without asking again.
pub const FRESH_SECONDS: u32 = 3_600;

static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/pictures.rs"));

static PICTURES: LazyLock<Vec<Picture>> =
    LazyLock::new(|| FILES.iter().map(|(name, bytes)| Picture::new(name, bytes)).collect());

/// One picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its file name, the last part of `/goods/img/NAME`.
    pub name: &'static str,
    /// The file.
    pub bytes: &'static [u8],
    /// Its media type, by the name's ending.
    pub media_type: &'static str,
    /// Quoted strong entity tag.
    pub etag: HeaderValue,
}

/// The picture of that name: its file's, or the file's without its ending, in any case (`TV` is
/// `tv.svg`), so that an address outlives a change of format.
pub fn find(name: &str) -> Option<&'static Picture> {
    let is_stem =
        |file: &str| file.rsplit_once('.').is_some_and(|(stem, _)| stem.eq_ignore_ascii_case(name));
    PICTURES.iter().find(|picture| picture.name == name || is_stem(picture.name))
}

impl Picture {
    fn new(name: &'static str, bytes: &'static [u8]) -> Picture {
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(bytes)[..16] {
            write!(etag, "{byte:02x}").expect("text grows");
        }
        etag.push('"');
        let etag = HeaderValue::try_from(etag).expect("hexadecimal digits");
        Picture { name, bytes, media_type: media_type(name), etag }
    }

    /// The answer to a GET with these headers: 304 where the client has it already.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = self.etag.to_str().expect("hexadecimal digits");
        let mut response = if etag::names(headers, IF_NONE_MATCH, tag) {
            empty(StatusCode::NOT_MODIFIED)
        } else {
            let mut response = Response::new(Body::full(self.bytes));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
            response
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        let cache = HeaderValue::try_from(format!("public, max-age={FRESH_SECONDS}"));
        headers.insert(CACHE_CONTROL, cache.expect("a number"));
        // A drawing opened by its own address must not run anything it carries.
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some("avif") => "image/avif",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_sent_once_and_then_only_confirmed() {
        let picture = Picture::new("TV.svg", b"<svg/>");
        let first = picture.answer(&HeaderMap::new());
        assert_eq!(
            (first.status(), &first.headers()[CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static("image/svg+xml"))
        );

        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(picture.answer(&headers).status(), StatusCode::NOT_MODIFIED);

        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"another\""));
        assert_eq!(picture.answer(&headers).status(), StatusCode::OK);
    }
}
