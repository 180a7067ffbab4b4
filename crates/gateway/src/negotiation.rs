//! What of a page the client can use: form, coding, language (RFC 9110, section 12).
//!
//! A missing header means the simplest answer: JSON, as it is, in the usual language. Weights are
//! compared as thousandths; a malformed one counts as 1, since a client that names something wants
//! it.

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE};
use http::{HeaderMap, HeaderName, HeaderValue};
use views::Encoding;

/// How many parts of one header are looked at.
const PARTS_MAX: usize = 64;
const WHOLE: u16 = 1000;

/// Whether `Accept` names `text/html`, and no JSON that it likes better.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0, 0);
    for Weighed { value: name, weight } in parts(headers, &ACCEPT) {
        if name.eq_ignore_ascii_case("text/html") {
            html = html.max(weight);
        } else if name.eq_ignore_ascii_case("application/json") {
            json = json.max(weight);
        }
    }
    html > 0 && html >= json
}

/// Whether lines of `Accept` name `text/html` at all: then a refusal is a page.
pub(crate) fn names_html<'v>(accept: impl IntoIterator<Item = &'v HeaderValue>) -> bool {
    weighed(accept.into_iter())
        .any(|it| it.weight > 0 && it.value.eq_ignore_ascii_case("text/html"))
}

/// The coding that the client likes best, the smallest among equals; identity if it names none.
pub(crate) fn encoding(headers: &HeaderMap) -> Encoding {
    let (mut named, mut any) = ([None; Encoding::ALL.len()], None);
    for Weighed { value: name, weight } in parts(headers, &ACCEPT_ENCODING) {
        match Encoding::ALL.iter().position(|known| name.eq_ignore_ascii_case(known.as_str())) {
            Some(at) => named[at] = Some(weight),
            None if name == "*" => any = Some(weight),
            None => {}
        }
    }
    let mut best = (0, Encoding::Identity);
    for (at, encoding) in Encoding::ALL.into_iter().enumerate() {
        // What is named counts before `*`, also where it is named to be refused (`br;q=0, *`).
        let weight = named[at].or(any).unwrap_or(0);
        // From the smallest on, and only by more weight: of equals the smaller one stays.
        if weight > best.0 {
            best = (weight, encoding);
        }
    }
    best.1
}

/// The first of the client's languages, by weight, for which `known` has something.
pub(crate) fn language<T>(headers: &HeaderMap, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut best = None;
    for Weighed { value: tag, weight } in parts(headers, &ACCEPT_LANGUAGE) {
        // Only by more weight: of equals the one that the client wrote first stays.
        let heavier = best.as_ref().is_none_or(|(heaviest, _)| weight > *heaviest);
        if weight == 0 || !heavier {
            continue;
        }
        let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        if let Some(found) = known(&primary) {
            best = Some((weight, found));
        }
    }
    best.map(|(_, found)| found)
}

/// One part of a list header.
struct Weighed<'h> {
    value: &'h str,
    /// In thousandths.
    weight: u16,
}

/// The parts of a list header with their weights.
fn parts<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Weighed<'h>> + use<'h> {
    weighed(headers.get_all(name).into_iter())
}

fn weighed<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> impl Iterator<Item = Weighed<'v>> {
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(weigh)
        .take(PARTS_MAX)
}

fn weigh(part: &str) -> Weighed<'_> {
    let mut pieces = part.split(';').map(str::trim);
    let value = pieces.next().unwrap_or_default();
    let weight = pieces.find_map(|piece| {
        piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")).map(thousandths)
    });
    Weighed { value, weight: weight.unwrap_or(WHOLE) }
}

fn thousandths(text: &str) -> u16 {
    match text.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * f32::from(WHOLE)) as u16,
        _ => WHOLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| (name.clone(), value.parse().expect("a value")));
        pairs.collect()
    }

    #[test]
    fn html_is_answered_to_whom_names_it_and_likes_nothing_better() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let cases: [(&[&str], bool); 12] = [
            (&[], false),
            (&["*/*"], false),
            (&["text/*"], false),
            (&["application/json"], false),
            (&["text/html"], true),
            (&["TEXT/HTML; charset=utf-8"], true),
            (&["text/html;q=0"], false),
            (&[browser], true),
            (&["application/json, text/html"], true),
            (&["application/json, text/html;q=0.5"], false),
            (&["application/json", "text/html"], true),
            (&["text/htmlx"], false),
        ];
        for (accept, expected) in cases {
            assert_eq!(wants_html(&headers(&ACCEPT, accept)), expected, "{accept:?}");
        }
    }

    #[test]
    fn a_refusal_is_a_page_to_whom_names_html_with_any_weight() {
        let cases: [(&[&str], bool); 9] = [
            (&[], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["text/html"], true),
            (&["Text/HTML;charset=utf-8"], true),
            (&["text/html;q=0"], false),
            (&["text/html;q=0.000"], false),
            (&["application/json, text/html;q=0.1"], true),
            (&["application/json", "image/*, text/html;q=0.001"], true),
        ];
        for (accept, expected) in cases {
            assert_eq!(names_html(headers(&ACCEPT, accept).values()), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_coding_is_the_clients_best_and_ours_among_equals() {
        let cases = [
            (None, Encoding::Identity),
            (Some(""), Encoding::Identity),
            (Some("gzip"), Encoding::Gzip),
            (Some("gzip, deflate, br, zstd"), Encoding::Br),
            (Some("gzip;q=1.0, br;q=0.5"), Encoding::Gzip),
            (Some("br;q=0, gzip"), Encoding::Gzip),
            (Some("*"), Encoding::Br),
            (Some("*;q=0.1, gzip;q=0.2"), Encoding::Gzip),
            (Some("identity, br;q=0.9"), Encoding::Identity),
            (Some("zstd"), Encoding::Identity),
            (Some("br;q=0, gzip;q=0, identity;q=0"), Encoding::Identity),
            (Some("BR"), Encoding::Br),
        ];
        for (accept, expected) in cases {
            let given: Vec<&str> = accept.into_iter().collect();
            assert_eq!(encoding(&headers(&ACCEPT_ENCODING, &given)), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_language_is_the_heaviest_that_is_known() {
        let known = |tag: &str| ["ko", "en"].into_iter().find(|known| *known == tag);
        let cases = [
            (None, None),
            (Some("fr"), None),
            (Some("ko"), Some("ko")),
            (Some("en-US,en;q=0.9,ko;q=0.8"), Some("en")),
            (Some("ko;q=0.4, en;q=0.9"), Some("en")),
            (Some("fr, KO-kr;q=0.1"), Some("ko")),
            (Some("ko;q=0, en;q=0"), None),
            (Some("*"), None),
        ];
        for (accept, expected) in cases {
            let given: Vec<&str> = accept.into_iter().collect();
            let headers = headers(&ACCEPT_LANGUAGE, &given);
            assert_eq!(language(&headers, known), expected, "{accept:?}");
        }
    }
}
