//! Dead letters by filter: tried again or dropped, longest parked first, as many as one call may; and what is left.
//!
//! Each is a transaction of its own, as if it had been named: only the first of a key is ever a letter, so that the order of
//! its key holds whatever is done to others. One that is gone by its turn counts nowhere. Where something is in the way, the
//! answer says how far it came and why it went no further; saying the same again goes on from there.

use chassis::clock;
use chassis::http::query::Query;
use chassis::http::{Problem, Response, json};
use events::Error;
use events::parking::{DeadLetter, PARKED_MAX};
use http::StatusCode;
use serde_json::{Value, json};

use super::filter::{Filter, Selection};
use super::{Controls, letter_json};
use crate::admin::problem;

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
        let letters = self.letters(super::LISTED_MAX).await?;
        let meant = letters.iter().filter(|letter| filter.means(letter));
        Ok(json(StatusCode::OK, &meant.map(letter_json).collect::<Vec<_>>()))
    }

    /// Mends those that are meant, or says which they are.
    pub(in crate::admin) async fn mend(
        &self,
        mending: Mending,
        query: Query,
    ) -> Result<Response, Problem> {
        let selection = Selection::read(query, &self.names(), clock::wall())?;
        let all = self.letters(PARKED_MAX as usize).await?.into_iter();
        let meant: Vec<_> = all.filter(|letter| selection.filter.means(letter)).collect();
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
