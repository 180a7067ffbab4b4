//! What pages look like whatever they show: their languages, and how they write money.

use mistakes::Mistakes;
use serde::Deserialize;
use views::{Look, Money};

/// Languages that pages are rendered in at most; each is a copy of every cached page.
const LOCALES_MAX: usize = 16;
/// The longest name of one: BCP 47 has none that is longer.
const LOCALE_BYTES_MAX: usize = 35;
/// The language of whoever is given none to choose from.
const USUAL: &str = "en";

/// The languages, the usual one first.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Locales(Vec<String>);

impl Default for Locales {
    fn default() -> Locales {
        Locales(vec![USUAL.to_owned()])
    }
}

/// Checks languages and money; the look of pages, before there is an app.
pub(super) fn compile(locales: Locales, money: Money, mistakes: &mut Mistakes) -> Look {
    let Locales(locales) = locales;
    mistakes.under("locales", |mistakes| check(&locales, mistakes));
    mistakes.under("money", |mistakes| money.check(mistakes));
    Look { app_head: String::new(), locales, money }
}

fn check(locales: &[String], mistakes: &mut Mistakes) {
    if !(1..=LOCALES_MAX).contains(&locales.len()) {
        let count = locales.len();
        mistakes.note(format!("pages have 1 to {LOCALES_MAX} languages. languages=`{count}`"));
    }
    for (at, name) in locales.iter().enumerate() {
        if !is_language(name) {
            mistakes
                .note(format!("a language is a tag such as `en` or `pt-BR`. language=`{name}`"));
        }
        if locales[..at].iter().any(|other| other.eq_ignore_ascii_case(name)) {
            mistakes.note(format!("a language is named twice. language=`{name}`"));
        }
    }
}

/// Whether a name is letters and digits in parts of 1 to 8, the first of letters alone (BCP 47).
fn is_language(name: &str) -> bool {
    let mut parts = name.split('-');
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let fits = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    name.len() <= LOCALE_BYTES_MAX
        && parts.next().is_some_and(|first| first.len() > 1 && fits(first) && letters(first))
        && parts.all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(locales: &[&str]) -> usize {
        let mut mistakes = Mistakes::default();
        let list = Locales(locales.iter().map(|name| (*name).to_owned()).collect());
        compile(list, Money::default(), &mut mistakes);
        mistakes.found().len()
    }

    #[test]
    fn languages_are_tags_each_once_and_at_least_one() {
        for good in [&["en"][..], &["ko", "en"], &["pt-BR", "zh-Hant-TW"], &["de-1996"]] {
            assert_eq!(mistakes(good), 0, "{good:?}");
        }
        for bad in [&[][..], &[""], &["e"], &["e1"], &["en_US"], &["en-"], &["en", "EN"], &["한국"]]
        {
            assert_eq!(mistakes(bad), 1, "{bad:?}");
        }
        let many: Vec<String> = (0..=LOCALES_MAX).map(|number| format!("en-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!((mistakes(&many[..LOCALES_MAX]), mistakes(&many)), (0, 1));
    }
}
