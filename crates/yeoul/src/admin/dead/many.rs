//! Dead letters by filter: tried again or dropped, longest parked first, as many as one call may; and what is left.
//!
//! Each is a transaction of its own, as if it had been named: only the first of a key is ever a letter, so that the order of
//! its key holds whatever is done to others. One that is gone by its turn counts nowhere. Where something is in the way, the
//! answer says how far it came and why it went no further; saying the same again goes on from there.
//!
//! Listing looks at the same letters in the same order, and shows the first [`LISTED_MAX`] of those that are meant. How many more there
//! are is in `Yeoul-Left`, since the answer is the list.

use chassis::clock;
use chassis::http::query::Query;
use chassis::http::{Problem, Response, json};
use events::Error;
use events::parking::DeadLetter;
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use super::filter::{Filter, Selection};
use super::{Controls, letter_json};
use crate::admin::problem;

/// How many letters are shown at most.
const LISTED_MAX: usize = 1_000;

/// How many more a filter means than are shown.
pub(crate) const YEOUL_LEFT: HeaderName = HeaderName::from_static("yeoul-left");

/// What is done to letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mending {
    Redrive,
    Drop,
}

impl Mending {
    /// What letters are that it was done to.
    fn past(self) -> &'static str {
        match self {
            Mending::Redrive => "redriven",
            Mending::Drop => "dropped",
        }
    }
}

/// How far it came.
#[derive(Default)]
struct Mended {
    count: usize,
    /// Why it went no further.
    stopped: Option<Error>,
}

impl Controls {
    /// Letters that a filter means, as they are listed.
    pub(in crate::admin) async fn list(&self, query: Query) -> Result<Response, Problem> {
        let filter = Filter::read(query, &self.names(), clock::wall())?;
        Ok(listed(&meant(self.letters().await?, &filter)))
    }

    /// Mends those that are meant, or says which they are.
    pub(in crate::admin) async fn mend(
        &self,
        mending: Mending,
        query: Query,
    ) -> Result<Response, Problem> {
        let selection = Selection::read(query, &self.names(), clock::wall())?;
        let meant = meant(self.letters().await?, &selection.filter);
        let now = meant.len().min(selection.limit as usize);
        if selection.is_dry {
            let letters: Vec<Value> = meant[..now].iter().map(letter_json).collect();
            let shown = json!({ "letters": letters, "left": meant.len() - now });
            return Ok(json(StatusCode::OK, &shown));
        }
        let mended = self.mend_each(mending, &meant[..now], &selection.by).await;
        match mended.stopped {
            Some(error) if mended.count == 0 => Err(problem(&error)),
            stopped => {
                let why = stopped.map(|error| error.to_string());
                let left = meant.len() - mended.count;
                let shown = json!({ mending.past(): mended.count, "left": left, "stopped": why });
                Ok(json(StatusCode::OK, &shown))
            }
        }
    }

    async fn mend_each(&self, mending: Mending, letters: &[DeadLetter], by: &str) -> Mended {
        let mut mended = Mended::default();
        for letter in letters {
            let done = match mending {
                Mending::Redrive => self.redrive_one(&letter.id).await,
                Mending::Drop => self.discard_one(&letter.id, by).await,
            };
            match done {
                Ok(is_done) => mended.count += usize::from(is_done),
                Err(error) => {
                    mended.stopped = Some(error);
                    break;
                }
            }
        }
        mended
    }

    /// Who may have letters.
    fn names(&self) -> Vec<&str> {
        let subscriptions = self.subscriptions.iter().map(events::Control::name);
        subscriptions.chain(self.relays.iter().map(events::relay::Control::name)).collect()
    }
}

/// The first of these, and how many are left.
fn listed(letters: &[DeadLetter]) -> Response {
    let shown = &letters[..letters.len().min(LISTED_MAX)];
    let mut response = json(StatusCode::OK, &shown.iter().map(letter_json).collect::<Vec<_>>());
    response.headers_mut().insert(YEOUL_LEFT, (letters.len() - shown.len()).into());
    response
}

/// Those that are meant, longest parked first whoever has them.
fn meant(mut letters: Vec<DeadLetter>, filter: &Filter) -> Vec<DeadLetter> {
    letters.retain(|letter| filter.means(letter));
    letters.sort_by_key(|letter| letter.since);
    letters
}

#[cfg(test)]
mod tests {
    use events::Topic;
    use jiff::Timestamp;

    use super::*;

    /// Parked so many seconds after 1970.
    fn letter(subscription: &str, since: i64) -> DeadLetter {
        DeadLetter {
            id: format!("{subscription}.{since}"),
            subscription: subscription.to_owned(),
            topic: Topic::parse("order").expect("a topic"),
            key: "9".to_owned(),
            kind: "OrderPlaced".to_owned(),
            attempts: 3,
            reason: "no address given".to_owned(),
            since: Timestamp::from_second(since).expect("a time"),
            waiting: 0,
        }
    }

    #[test]
    fn letters_are_meant_longest_parked_first_whoever_has_them() {
        let since = |letters: &[DeadLetter]| -> Vec<i64> {
            letters.iter().map(|it| it.since.as_second()).collect()
        };
        let letters = [5, 7].map(|at| letter("product.order", at));
        let letters = letters.into_iter().chain([4, 6].map(|at| letter("outbox.order", at)));
        let names = ["product.order", "outbox.order"];
        for (query, expected) in
            [("", &[4, 5, 6, 7][..]), ("since=1970-01-01T00:00:05Z", &[5, 6, 7])]
        {
            let query = Query::parse(Some(query)).expect("a query");
            let filter = Filter::read(query, &names, Timestamp::UNIX_EPOCH).expect("a filter");
            assert_eq!(since(&meant(letters.clone().collect(), &filter)), expected);
        }
    }

    #[test]
    fn so_many_are_listed_and_of_one_past_the_limit_it_is_said_how_many_are_left() {
        for (count, left) in [(LISTED_MAX, "0"), (LISTED_MAX + 1, "1")] {
            let letters: Vec<_> = (0..count).map(|at| letter("product.order", at as i64)).collect();
            let response = listed(&letters);
            assert_eq!(response.headers()[YEOUL_LEFT], left, "{count}");
        }
    }
}
