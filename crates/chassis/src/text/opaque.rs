//! Passwords as RFC 8265 has them compared (the `OpaqueString` profile over RFC 8264's
//! FreeformClass): one form for what people type alike on different keyboards.
//!
//! 1. Spaces other than U+0020 become U+0020; case and width stay.
//! 2. The result is composed (NFC). This comes before the characters are judged: a keyboard that
//!    sends Hangul in pieces means the syllables.
//! 3. What then has no place in a password is refused: nothing at all, controls, unassigned and
//!    private characters, those that nobody sees, jamo outside a syllable, and those that RFC 8264
//!    allows in some surroundings only, outside of them.
//!
//! Scripts are told apart by their blocks and a joiner is allowed behind a virama alone: the rest of
//! its rule needs joining types, which no present dependency has. Length is the caller's to judge.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// No password can be this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPassword;

/// A virama's canonical combining class.
const VIRAMA: u8 = 9;

/// Default_Ignorable_Code_Point, as far as it is assigned and no format character.
const UNSEEN: [RangeInclusive<char>; 9] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Hangul_Syllable_Type L, V or T.
const JAMO: [RangeInclusive<char>; 4] = [
    '\u{1100}'..='\u{11ff}',
    '\u{a960}'..='\u{a97c}',
    '\u{d7b0}'..='\u{d7c6}',
    '\u{d7cb}'..='\u{d7fb}',
];

/// RFC 8264's exceptions (RFC 5892, 2.6) that are never allowed.
const EXCEPTED: [RangeInclusive<char>; 5] = [
    '\u{640}'..='\u{640}',
    '\u{7fa}'..='\u{7fa}',
    '\u{302e}'..='\u{302f}',
    '\u{3031}'..='\u{3035}',
    '\u{303b}'..='\u{303b}',
];

const GREEK: [RangeInclusive<char>; 2] = ['\u{370}'..='\u{3ff}', '\u{1f00}'..='\u{1fff}'];
const HEBREW: [RangeInclusive<char>; 2] = ['\u{591}'..='\u{5f4}', '\u{fb1d}'..='\u{fb4f}'];
const KANA_OR_HAN: [RangeInclusive<char>; 8] = [
    '\u{3005}'..='\u{3007}',
    '\u{3041}'..='\u{3096}',
    '\u{30a1}'..='\u{30fa}',
    '\u{31f0}'..='\u{31ff}',
    '\u{3400}'..='\u{4dbf}',
    '\u{4e00}'..='\u{9fff}',
    '\u{f900}'..='\u{faff}',
    '\u{20000}'..='\u{323af}',
];
const ARABIC_INDIC: [RangeInclusive<char>; 1] = ['\u{660}'..='\u{669}'];
const EXTENDED_ARABIC_INDIC: [RangeInclusive<char>; 1] = ['\u{6f0}'..='\u{6f9}'];

/// The password as it is hashed, at sign-up and at every sign-in.
///
/// # Errors
/// [`NoPassword`]: refuse it at sign-up; at sign-in it is nobody's.
pub fn opaque(text: &str) -> Result<String, NoPassword> {
    let mapped = text.chars().map(|c| if is_space(c) { ' ' } else { c });
    let password: String = mapped.nfc().collect();
    let chars: Vec<char> = password.chars().collect();
    let allowed = !chars.is_empty() && (0..chars.len()).all(|at| is_allowed(&chars, at));
    if allowed { Ok(password) } else { Err(NoPassword) }
}

fn is_space(c: char) -> bool {
    !c.is_ascii() && c.general_category() == GeneralCategory::SpaceSeparator
}

fn is_allowed(chars: &[char], at: usize) -> bool {
    let c = chars[at];
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    if is_in(c, &UNSEEN) || is_in(c, &JAMO) || is_in(c, &EXCEPTED) {
        return false;
    }
    in_its_surroundings(chars, at).unwrap_or_else(|| is_of_an_allowed_category(c))
}

/// Whether a character that needs certain surroundings has them; `None` for all others.
fn in_its_surroundings(chars: &[char], at: usize) -> Option<bool> {
    let before = at.checked_sub(1).map(|at| chars[at]);
    let after = chars.get(at + 1).copied();
    let holds = |ranges: &[_]| chars.iter().any(|c| is_in(*c, ranges));
    let allowed = match chars[at] {
        '\u{200c}' | '\u{200d}' => before.is_some_and(|c| canonical_combining_class(c) == VIRAMA),
        '\u{b7}' => (before, after) == (Some('l'), Some('l')),
        '\u{375}' => after.is_some_and(|c| is_in(c, &GREEK)),
        '\u{5f3}' | '\u{5f4}' => before.is_some_and(|c| is_in(c, &HEBREW)),
        '\u{30fb}' => holds(&KANA_OR_HAN),
        c if is_in(c, &ARABIC_INDIC) => !holds(&EXTENDED_ARABIC_INDIC),
        c if is_in(c, &EXTENDED_ARABIC_INDIC) => !holds(&ARABIC_INDIC),
        _ => return None,
    };
    Some(allowed)
}

/// Letters, marks, numbers, punctuation and symbols are; what is left is invisible or nothing yet.
fn is_of_an_allowed_category(c: char) -> bool {
    use GeneralCategory as G;
    !matches!(
        c.general_category(),
        G::Control
            | G::Format
            | G::Surrogate
            | G::PrivateUse
            | G::Unassigned
            | G::LineSeparator
            | G::ParagraphSeparator
    )
}

fn is_in(c: char, ranges: &[RangeInclusive<char>]) -> bool {
    ranges.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_one_form_however_it_is_typed() {
        let cases = [
            ("correct horse battery staple", "correct horse battery staple"),
            ("1", "1"),
            (" ", " "),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한글"),
            ("pa\u{308}ss", "p\u{e4}ss"),
            ("a\u{a0}b\u{3000}c\u{1680}d", "a b c d"),
            ("Σ is not σ", "Σ is not σ"),
            ("ＡＢ half ｱ", "ＡＢ half ｱ"),
            ("ﬁ Å", "ﬁ Å"),
            ("π\u{df}å", "πßå"),
            ("🥰 £€", "🥰 £€"),
            ("col\u{b7}legi", "col\u{b7}legi"),
            ("ア・イ", "ア・イ"),
            ("\u{375}α", "\u{375}α"),
            ("א\u{5f3}", "א\u{5f3}"),
            ("\u{660}\u{661}", "\u{660}\u{661}"),
            ("\u{915}\u{94d}\u{200d}", "\u{915}\u{94d}\u{200d}"),
        ];
        for (typed, kept) in cases {
            assert_eq!(opaque(typed).as_deref(), Ok(kept), "{typed:?}");
            assert_eq!(opaque(kept).as_deref(), Ok(kept), "again: {typed:?}");
        }
    }

    #[test]
    fn what_nobody_can_mean_by_a_password_is_refused() {
        let cases = [
            ("", "nothing"),
            ("a\0b", "a control"),
            ("a\tb", "a tab"),
            ("a\nb", "a line break"),
            ("a\u{7f}", "delete"),
            ("a\u{85}", "a control of Latin 1"),
            ("a\u{378}", "unassigned"),
            ("a\u{fffe}", "no character"),
            ("a\u{e000}", "private"),
            ("a\u{ad}b", "a soft hyphen"),
            ("a\u{200b}b", "a space without width"),
            ("a\u{202e}b", "a change of direction"),
            ("a\u{2028}b", "a line separator"),
            ("a\u{fe0f}", "a variation selector"),
            ("a\u{34f}b", "a joiner that nobody sees"),
            ("a\u{1112}", "a jamo alone"),
            ("a\u{200d}b", "a joiner behind no virama"),
            ("a\u{b7}b", "a middle dot between others"),
            ("a・b", "a katakana dot without kana"),
            ("\u{375}a", "a numeral sign before no Greek"),
            ("a\u{5f3}", "a geresh behind no Hebrew"),
            ("\u{660}\u{6f0}", "digits of two kinds"),
            ("a\u{640}", "a tatweel"),
        ];
        for (typed, what) in cases {
            assert_eq!(opaque(typed), Err(NoPassword), "{what}");
        }
    }
}
