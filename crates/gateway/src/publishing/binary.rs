//! An event in binary mode (CloudEvents' HTTP binding, 3.1) as the JSON document that it means.
//!
//! Attributes are headers that begin with `ce-`, percent-encoded where they are no visible ASCII; the body is the data
//! and its `Content-Type` the type of it. So one reader looks at events of all modes. What is JSON stays as it was
//! written, what is text becomes a JSON text, and anything else base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chassis::http::Problem;
use chassis::http::urlencoded::has_whole_escapes;
use events::event::foreign::is_json;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use serde_json::{Value, to_string};

/// What headers begin with that are attributes.
const PREFIX: &str = "ce-";

/// The attribute that a header is.
pub(super) fn attribute(name: &HeaderName) -> Option<&str> {
    name.as_str().strip_prefix(PREFIX)
}

/// The event as a JSON document; what its attributes are worth is not looked at.
///
/// # Errors
/// 400: a header that is no text, or is there twice; data that is not what it says. 415: data of no type.
pub(super) fn as_json(headers: &HeaderMap, data: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut text = String::with_capacity(data.len() + 1024);
    for name in headers.keys() {
        let Some(attribute) = attribute(name) else { continue };
        if ["data", "data_base64", "datacontenttype"].contains(&attribute) {
            let says = "is no header of an event: data is the body, and its type Content-Type";
            return Err(Problem::bad_field(name.as_str(), says));
        }
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none());
        let value = value.ok_or_else(|| Problem::bad_field(attribute, "is there twice"))?;
        let value = decoded(value)
            .ok_or_else(|| Problem::bad_field(attribute, "must be percent-encoded UTF-8"))?;
        member(&mut text, attribute, &quoted(&value));
    }
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        let kind =
            kind.to_str().map_err(|_| Problem::bad_field("datacontenttype", "must be ASCII"))?;
        member(&mut text, "datacontenttype", &quoted(kind));
        self::data(&mut text, kind, data)?;
    } else if !data.is_empty() {
        return Err(Problem::unsupported_media_type("of some type"));
    }
    text.push('}');
    Ok(text.into_bytes())
}

/// Adds the data: as JSON, as a text, or as bytes, by what its type says.
fn data(text: &mut String, kind: &str, data: &[u8]) -> Result<(), Problem> {
    if data.is_empty() {
        return Ok(());
    }
    if is_json(kind) {
        let json: &RawValue = serde_json::from_slice(data)
            .map_err(|error| Problem::bad_field("data", format!("must be JSON: {error}")))?;
        member(text, "data", json.get());
        return Ok(());
    }
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = kind.starts_with("text/") || kind == "application/xml" || kind.ends_with("+xml");
    match std::str::from_utf8(data) {
        Ok(words) if is_text => member(text, "data", &quoted(words)),
        _ => member(text, "data_base64", &quoted(&STANDARD.encode(data))),
    }
    Ok(())
}

fn member(text: &mut String, name: &str, json: &str) {
    text.push(if text.is_empty() { '{' } else { ',' });
    text.push_str(&quoted(name));
    text.push(':');
    text.push_str(json);
}

fn quoted(text: &str) -> String {
    to_string(&Value::from(text)).expect("a text is JSON")
}

/// The value of a header, its quotes and escapes taken away, then decoded once; `None` for what is no UTF-8, and for a `%`
/// that begins no escape: the binding has `%` itself encoded, so such a text was written for nobody who decodes it.
fn decoded(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let inner = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let text = inner.map_or_else(|| text.to_owned(), unescaped);
    percent_decoded(&text)
}

/// A text decoded once (RFC 3986, 2.1); `None` where an escape is not whole, or what it says is no UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let text = Some(text).filter(|text| has_whole_escapes(text))?;
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// A quoted string's text (RFC 9110, 5.6.4).
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut escaped = false;
    for letter in text.chars() {
        if letter == '\\' && !escaped {
            escaped = true;
        } else {
            plain.push(letter);
            escaped = false;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(headers: &[(&'static str, &str)], data: &[u8]) -> Result<String, u16> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        let read = as_json(&all, data).map_err(|refused| refused.status().as_u16())?;
        Ok(String::from_utf8(read).expect("text"))
    }

    #[test]
    fn headers_are_attributes_and_the_body_is_the_data_as_it_is_typed() {
        let kinds: [(&str, &[u8], &str); 7] = [
            ("application/json", br#"{"a": 1}"#, r#","data":{"a": 1}"#),
            ("application/vnd.a+json; charset=utf-8", b"3", r#","data":3"#),
            ("text/plain", "안녕\n".as_bytes(), r#","data":"안녕\n""#),
            ("image/svg+xml", b"<svg/>", r#","data":"<svg/>""#),
            ("text/plain", b"\xff", r#","data_base64":"/w==""#),
            ("application/octet-stream", b"abc", r#","data_base64":"YWJj""#),
            ("application/json", b"", ""),
        ];
        for (kind, data, expected) in kinds {
            let read = json(&[("ce-id", "1"), ("content-type", kind), ("accept", "x")], data);
            let read = read.expect("an event");
            assert_eq!(read, format!(r#"{{"id":"1","datacontenttype":"{kind}"{expected}}}"#));
        }
        assert_eq!(json(&[("ce-id", "1")], b""), Ok(r#"{"id":"1"}"#.to_owned()));
        assert_eq!(json(&[("ce-id", "1")], b"a"), Err(415));
        assert_eq!(json(&[("ce-id", "1"), ("content-type", "application/json")], b"{"), Err(400));
    }

    #[test]
    fn a_value_is_decoded_once_and_refused_where_it_is_no_text() {
        for (value, expected) in [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
            ("%2541", Some("%41")),
            (r#""a \"b\" \\ %20c""#, Some(r#"a "b" \  c"#)),
            ("100%25", Some("100%")),
            ("100%", None),
            ("100%2", None),
            ("%zz", None),
            (r#""100% sure""#, None),
            ("%FF", None),
        ] {
            let read = decoded(&value.parse().expect("a value"));
            assert_eq!(read.as_deref(), expected, "{value}");
        }
        for twice in [[("ce-id", "1"), ("ce-id", "1")], [("ce-data", "1"), ("ce-id", "1")]] {
            assert_eq!(json(&twice, b""), Err(400), "{twice:?}");
        }
    }
}
