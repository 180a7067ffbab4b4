//! What a refusal's page says without scripts in the shop's own language, checked once.

use std::collections::BTreeMap;

use mistakes::Mistakes;

use crate::settings::ErrorTexts;

/// The longest text.
const TEXT_BYTES_MAX: usize = 1024;
/// What stands for every status of a hundred that has no sentence of its own.
const CLASSES: [&str; 2] = ["4xx", "5xx"];

/// Words in one language for every refusal.
#[derive(Debug)]
pub(crate) struct Texts {
    language: String,
    home: String,
    statuses: BTreeMap<String, String>,
}

impl Texts {
    /// Texts in which every status has a sentence; notes what they lack, and what a page may not say as it
    /// is.
    pub(crate) fn compile(settings: &ErrorTexts, mistakes: &mut Mistakes) -> Texts {
        let ErrorTexts { language, home, statuses } = settings;
        if !is_tag(language) {
            let says = format!("a language is a tag such as `en`. language=`{language}`");
            mistakes.at(&["language"]).note(says);
        }
        mistakes.under("home", |it| check(home, it));
        mistakes.under("statuses", |mistakes| {
            for (status, sentence) in statuses {
                mistakes.under(status, |it| check(sentence, it));
                if !is_refusal(status) {
                    mistakes.at(&[status]).note("a status of a refusal, `4xx` or `5xx`");
                }
            }
            for class in CLASSES.into_iter().filter(|class| !statuses.contains_key(*class)) {
                mistakes.note(format!("every refusal has a sentence. missing=`{class}`"));
            }
        });
        Texts { language: language.clone(), home: home.clone(), statuses: statuses.clone() }
    }

    /// The sentence for a status, with what divides it from the next language's.
    pub(super) fn sentence(&self, status: u16) -> String {
        let class = CLASSES[usize::from(status >= 500)];
        let own = self.statuses.get(&status.to_string()).or_else(|| self.statuses.get(class));
        self.first(own.map_or("", String::as_str))
    }

    /// The words of the link to the start, as [`Texts::sentence`].
    pub(super) fn home(&self) -> String {
        self.first(&self.home)
    }

    fn first(&self, text: &str) -> String {
        format!("<span lang=\"{}\">{text}</span> · ", self.language)
    }
}

/// Nothing that HTML would read, so that it is shown as it is written.
fn check(text: &str, mistakes: &mut Mistakes) {
    if !(1..=TEXT_BYTES_MAX).contains(&text.len()) {
        mistakes.note(format!("1 to {TEXT_BYTES_MAX} bytes. bytes=`{}`", text.len()));
    }
    if text.contains(['<', '>', '&']) || text.contains(char::is_control) {
        mistakes.note("plain text of one line, without `<`, `>` and `&`");
    }
}

fn is_refusal(status: &str) -> bool {
    let code = || status.parse().is_ok_and(|code: u16| (400..600).contains(&code));
    CLASSES.contains(&status) || (status.len() == 3 && code())
}

/// Letters and digits in parts (BCP 47 has no others), so that it needs no escape in an attribute.
fn is_tag(language: &str) -> bool {
    let fits = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    language.split('-').all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(language: &str, home: &str, statuses: &[(&str, &str)]) -> ErrorTexts {
        let owned = |(status, text): &(&str, &str)| ((*status).to_owned(), (*text).to_owned());
        ErrorTexts {
            language: language.to_owned(),
            home: home.to_owned(),
            statuses: statuses.iter().map(owned).collect(),
        }
    }

    const TOTAL: [(&str, &str); 3] = [("404", "Weg."), ("4xx", "Nein."), ("5xx", "Später.")];

    #[test]
    fn a_status_has_its_own_sentence_or_that_of_its_hundred() {
        let mut mistakes = Mistakes::default();
        let texts = Texts::compile(&settings("de-CH", "Anfang", &TOTAL), &mut mistakes);
        assert!(mistakes.found().is_empty());
        for (status, expected) in
            [(404, "Weg."), (400, "Nein."), (499, "Nein."), (500, "Später."), (599, "Später.")]
        {
            let sentence = texts.sentence(status);
            assert_eq!(sentence, format!("<span lang=\"de-CH\">{expected}</span> · "), "{status}");
        }
        assert_eq!(texts.home(), "<span lang=\"de-CH\">Anfang</span> · ");
    }

    #[test]
    fn what_is_no_language_no_plain_text_no_refusal_or_not_total_is_named() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let longest = "x".repeat(TEXT_BYTES_MAX);
        let with = |more: (&'static str, &'static str)| [TOTAL.as_slice(), &[more]].concat();
        let cases = [
            (settings("de", &longest, &TOTAL), ""),
            (settings("d\"e", "A", &TOTAL), "language"),
            (settings("", "A", &TOTAL), "language"),
            (settings("de", "", &TOTAL), "home"),
            (settings("de", &long, &TOTAL), "home"),
            (settings("de", "<b>", &TOTAL), "home"),
            (settings("de", "A", &TOTAL[..2]), "statuses"),
            (settings("de", "A", &TOTAL[1..]), ""),
            (settings("de", "A", &with(("410", "a & b"))), "statuses.410"),
            (settings("de", "A", &with(("200", "Gut."))), "statuses.200"),
            (settings("de", "A", &with(("3xx", "Weiter."))), "statuses.3xx"),
        ];
        for (settings, expected) in cases {
            let mut mistakes = Mistakes::default();
            Texts::compile(&settings, &mut mistakes);
            let found = mistakes.found();
            let paths: Vec<String> = found.iter().map(mistakes::Mistake::setting).collect();
            assert_eq!(paths.join(" "), expected, "{settings:?}");
        }
    }
}
