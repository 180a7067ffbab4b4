//! `Yeoul-Condition`: what must not have come for an event to be stored.
//!
//! ```text
//! Yeoul-Condition: none-of UserRegistered,UserRenamed subject u%2F17 after t17.users
//! ```
//!
//! Types and subject are percent-encoded as the values of `ce-` headers are, so that a blank or a comma stands for no
//! other than itself; the position is one of the topic, or `beginning`.

use chassis::http::Problem;
use events::event::KEY_BYTES_MAX;
use events::{Numbers, Partitions, Topic, TopicPosition, Unless, WritePosition};
use http::{HeaderMap, HeaderName};

use super::binary::percent_decoded;

/// What it is called.
pub(super) const NAME: &str = "Yeoul-Condition";
const HEADER: HeaderName = HeaderName::from_static("yeoul-condition");

/// What a condition's position counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    /// Places in the topic, where that is of the log that decides.
    Places,
    /// Numbers of the outbox that decides: where its events will be in the topic nobody knows yet.
    Numbers,
}

/// The condition of a request, if it has one.
///
/// # Errors
/// 400 where it is malformed, 422 where it names a position that this topic cannot have.
pub(super) fn read(
    headers: &HeaderMap,
    topic: &Topic,
    partitions: Partitions,
    counted: Counted,
) -> Result<Option<Unless>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let Parsed { unless, after } = text.and_then(parsed).ok_or_else(malformed)?;
    let after = match (after, counted) {
        (None, _) => Numbers::default(),
        (Some(token), Counted::Places) => place(token, topic)?,
        (Some(token), Counted::Numbers) => number(token, topic)?,
    };
    if !partitions.have(&after) {
        return Err(unknown("names a partition that the topic does not have"));
    }
    Ok(Some(Unless { after, ..unless }))
}

fn malformed() -> Problem {
    let says = "must be once `none-of TYPE[,TYPE] subject SUBJECT after POSITION`, percent-encoded";
    Problem::bad_field(NAME, says)
}

fn place(token: &str, topic: &Topic) -> Result<Numbers, Problem> {
    let position: TopicPosition = token.parse().map_err(|_| malformed())?;
    if position.topic == *topic {
        Ok(position.offsets)
    } else {
        Err(unknown("names a position of another topic"))
    }
}

fn number(token: &str, topic: &Topic) -> Result<Numbers, Problem> {
    if token.parse::<TopicPosition>().is_ok() {
        let says = "names a place where the topic is read, and is decided before events are there: name a position that \
                    publishing gave, or a 409";
        return Err(unknown(says));
    }
    let position: WritePosition = token.parse().map_err(|_| malformed())?;
    if position.source == topic.as_str() {
        Ok(position.sequences)
    } else {
        Err(unknown("names a position of another topic"))
    }
}

/// 422: a condition behind what nobody has stored yet would be true whatever comes.
pub(super) fn past_the_end(end: &str) -> Problem {
    unknown(&format!("names a position past the topic's end, which is {end}"))
}

/// 422: what somebody else publishes is not looked at where it is decided.
pub(super) fn another_publisher() -> Problem {
    unknown("cannot be decided: the topic has another publisher beside this address")
}

/// 422: it is well written, and no place of this topic.
fn unknown(reason: &str) -> Problem {
    Problem::unprocessable(format!("{NAME} {reason}; nothing was stored")).field(NAME, reason, None)
}

/// What was read; its place is to be compared with the topic.
struct Parsed<'t> {
    unless: Unless,
    /// `None` for the beginning.
    after: Option<&'t str>,
}

fn parsed(text: &str) -> Option<Parsed<'_>> {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let ["none-of", kinds, "subject", subject, "after", position] = words[..] else { return None };
    let kinds: Option<Vec<String>> = kinds.split(',').map(decoded).collect();
    let key = decoded(subject).filter(|it| it.len() <= KEY_BYTES_MAX)?;
    let after = match position {
        "beginning" => None,
        token => Some(token),
    };
    Some(Parsed { unless: Unless { kinds: kinds?, key, after: Numbers::default() }, after })
}

fn decoded(text: &str) -> Option<String> {
    percent_decoded(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(values: &[&str]) -> Result<Option<Unless>, u16> {
        condition_of(values, Counted::Places)
    }

    fn condition_of(values: &[&str], counted: Counted) -> Result<Option<Unless>, u16> {
        let topic = Topic::parse("users").expect("a topic");
        let pairs = values.iter().map(|value| (HEADER, value.parse().expect("a value")));
        read(&pairs.collect(), &topic, Partitions::ONE, counted).map_err(|it| it.status().as_u16())
    }

    #[test]
    fn a_condition_names_types_a_subject_and_a_position() {
        let unless = |kinds: &[&str], key: &str, after: u64| Unless {
            kinds: kinds.iter().map(|&it| it.to_owned()).collect(),
            key: key.to_owned(),
            after: after.into(),
        };
        assert_eq!(condition(&[]), Ok(None));
        let one = "none-of UserRegistered subject u-17 after t17.users";
        assert_eq!(condition(&[one]), Ok(Some(unless(&["UserRegistered"], "u-17", 17))));
        let two = "none-of A%2CB,C  subject %EA%B0%80%20b after beginning";
        assert_eq!(condition(&[two]), Ok(Some(unless(&["A,B", "C"], "가 b", 0))));
    }

    #[test]
    fn where_an_outbox_decides_the_position_is_one_of_its_numbers() {
        let after = |after: &str| {
            let text = format!("none-of A subject s after {after}");
            condition_of(&[&text], Counted::Numbers).map(|it| it.map(|unless| unless.after))
        };
        for token in ["w17.users", "w17.users.s", "w17.users.other"] {
            assert_eq!(after(token), Ok(Some(17.into())), "{token}");
        }
        assert_eq!(after("beginning"), Ok(Some(Numbers::default())));
        for (token, status) in [
            ("t17.users", 422),
            ("w17.orders", 422),
            ("w17.log~2eusers", 422),
            ("w1_3-1.users", 422),
            ("w017.users", 400),
            ("17", 400),
            ("f17.users", 400),
        ] {
            assert_eq!(after(token), Err(status), "{token}");
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        let sound = "none-of A subject s after beginning";
        for values in [
            &[""][..],
            &["none-of A subject s"],
            &["none-of A subject s after"],
            &["none-of  subject s after beginning"],
            &["none-of A, subject s after beginning"],
            &["any-of A subject s after beginning"],
            &["none-of A subject s t after beginning"],
            &["none-of A subject %FF after beginning"],
            &["none-of A subject 100% after beginning"],
            &["none-of A%2 subject s after beginning"],
            &["none-of A subject s after 17"],
            &["none-of A subject s after w17.users"],
            &[sound, sound],
        ] {
            assert_eq!(condition(values), Err(400), "{values:?}");
        }
        for after in ["t17.orders", "t1_3-1.users"] {
            assert_eq!(
                condition(&[&format!("none-of A subject s after {after}")]),
                Err(422),
                "{after}"
            );
        }
    }
}
