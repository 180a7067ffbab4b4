//! Text from outside, brought to one form where it comes in: the one rule that every text field of a
//! service follows.
//!
//! What looks alike is stored alike: [`clean`] composes a text (NFC, Unicode Standard Annex #15), so
//! that a name typed on a machine that decomposes is found by one typed on another. A control
//! character other than a line break or a tab has no meaning in a field that people read, and does
//! harm in a log, a terminal or a file name: it is refused. Passwords follow a stricter rule
//! ([`opaque`]), the same wherever one is typed.
//!
//! It is for fields. Events and bodies that are passed on are somebody else's bytes and stay so.

pub mod opaque;

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub use opaque::opaque;

/// A text holds a control character that no field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlCharacter;

/// How much longer a text may be before it is composed: no character decomposes into more.
const DECOMPOSED_MAX: usize = 4;

/// The text as it is stored and compared: composed, without control characters but line breaks and
/// tabs.
///
/// # Errors
/// It holds another one (U+0000 to U+001F, U+007F to U+009F): refuse the field.
pub fn clean(text: &str) -> Result<Cow<'_, str>, ControlCharacter> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err(ControlCharacter);
    }
    Ok(composed(text))
}

/// Whether a text is too long for `chars_max` characters however it is composed: known before the
/// work of composing it is done.
pub fn is_hopelessly_long(text: &str, chars_max: usize) -> bool {
    text.chars().count() > chars_max.saturating_mul(DECOMPOSED_MAX)
}

/// The text in NFC; nothing is copied where it is so already.
fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_composed_and_keeps_its_lines_and_tabs() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("서울시", "서울시"),
            ("\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}", "서울"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("\u{212b}", "\u{c5}"),
            ("one\ntwo\r\n\tthree", "one\ntwo\r\n\tthree"),
            ("no break\u{a0}space", "no break\u{a0}space"),
            ("ﬁ is not folded", "ﬁ is not folded"),
            ("👨\u{200d}👩\u{200d}👧", "👨\u{200d}👩\u{200d}👧"),
        ];
        for (given, kept) in cases {
            assert_eq!(clean(given).as_deref(), Ok(kept), "{given:?}");
        }
    }

    #[test]
    fn every_control_character_but_line_breaks_and_tabs_is_refused() {
        for code in (0..0x20).chain(0x7f..0xa0) {
            let control = char::from_u32(code).expect("a character");
            let kept = matches!(control, '\t' | '\n' | '\r');
            for text in [format!("{control}"), format!("a{control}b"), format!("가{control}")] {
                assert_eq!(clean(&text).is_ok(), kept, "U+{code:04X}");
            }
        }
        assert!(clean("\u{a0}\u{200b}\u{2028}").is_ok(), "spaces and marks are no controls");
    }

    #[test]
    fn what_is_clean_stays_as_it_is() {
        for text in ["cafe\u{301}\n", "\u{1112}\u{1161}\u{11ab}", "a\u{327}\u{301}"] {
            let once = clean(text).expect("no control").into_owned();
            assert_eq!(clean(&once).as_deref(), Ok(once.as_str()));
        }
    }

    #[test]
    fn only_what_no_composition_saves_is_hopelessly_long() {
        // The longest decompositions there are: one character is three of Hangul, four of Greek.
        assert!(!is_hopelessly_long("\u{1112}\u{1161}\u{11ab}", 1));
        assert!(!is_hopelessly_long("\u{3b1}\u{313}\u{300}\u{345}", 1));
        assert_eq!(clean("\u{3b1}\u{313}\u{300}\u{345}").as_deref(), Ok("\u{1f82}"));
        assert!(is_hopelessly_long("aaaaa", 1) && !is_hopelessly_long("aaaa", 1));
    }
}
