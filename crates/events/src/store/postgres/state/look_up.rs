//! What became of a transaction whose answer was lost, asked of whichever server is there by then.
//!
//! The same server, not started anew meanwhile, knows every id that it has given. Another [life](connection::LIFE) of it, begun by a
//! start or where one of its processes was killed, or another server that took its place, may never have heard of this
//! one and give it again: so a row of the transaction's own is
//! looked for, and without one an id that is somebody's is nobody's proof.

use sqlx::{AssertSqlSafe, PgConnection};

use super::open::OpenSchema;
use super::outbox::{self, Drafts};
use crate::store::postgres::timeouts::{self, within};
use crate::store::postgres::trouble;
use crate::wait::Backoff;

/// Whether a server only follows another one, and its [life](connection::LIFE).
const SERVER: &str = "SELECT pg_is_in_recovery(), current_setting('yeoul.life')";

/// Under which id a transaction was sent to its end, and in which [life](connection::LIFE) of a server.
#[derive(Clone, Default)]
pub(super) struct SentCommit {
    pub(super) id: String,
    pub(super) life: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stands,
    TakenBack,
    /// Nobody can say, or did in time.
    Unknown,
}

/// What became of it, and what was numbered where it stands.
pub(super) struct LookedUp {
    pub(super) fate: Fate,
    pub(super) numbers: Vec<i64>,
}

impl From<Fate> for LookedUp {
    fn from(fate: Fate) -> LookedUp {
        LookedUp { fate, numbers: Vec::new() }
    }
}

/// What a server knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransactionStatus {
    Committed,
    InProgress,
    Aborted,
    /// It has not given such a one yet.
    NotGiven,
    /// It was so long ago that nothing is kept of it.
    Forgotten,
}

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerAsked {
    /// In the same life of the same server.
    SameLife,
    /// In another life, or another server.
    Another,
    /// At one that only follows another, and may learn of the commit yet.
    Follower,
}

/// A row that this very transaction alone can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnRow {
    IsThere,
    Missing,
    /// It published nothing.
    Never,
}

/// Asks until it is known, or [`timeouts::LOOK_UP`] is over; what was numbered, where it stands.
pub(super) async fn look_up(open: &OpenSchema, drafts: &Drafts, sent: &SentCommit) -> LookedUp {
    let mut backoff = Backoff::new();
    let known = async {
        loop {
            match look(open, drafts, sent).await {
                Ok(Some(known)) => return Ok(known),
                Ok(None) => {}
                Err(error) => {
                    let id = &sent.id;
                    tracing::warn!(%error, id, "whether a transaction stands cannot be asked yet");
                }
            }
            tokio::time::sleep(backoff.next()).await;
        }
    };
    within(timeouts::LOOK_UP, known).await.unwrap_or(Fate::Unknown.into())
}

/// One look, at one server; `None` while nothing is decided.
async fn look(
    open: &OpenSchema,
    drafts: &Drafts,
    sent: &SentCommit,
) -> Result<Option<LookedUp>, sqlx::Error> {
    let mut server = open.pool.acquire().await?;
    let asked = whom(&mut server, sent).await?;
    if asked == ServerAsked::Follower {
        return Ok(None);
    }
    let status = status(&mut server, sent).await?;
    let own = own_row(open, &mut server, drafts).await?;
    Ok(match decided(asked, status, own) {
        Some(Fate::Stands) => {
            // It can be seen, and is on disk for sure once this is.
            sqlx::query(outbox::FLUSH).execute(&mut *server).await?;
            let numbers = numbers(open, &mut server, drafts).await?;
            Some(LookedUp { fate: Fate::Stands, numbers })
        }
        decided => decided.map(LookedUp::from),
    })
}

/// Every case: a row of the transaction's own decides, and where it has none its id does, in the life that gave it;
/// `None` while nothing is decided.
fn decided(asked: ServerAsked, status: TransactionStatus, own: OwnRow) -> Option<Fate> {
    match (asked, status, own) {
        (ServerAsked::Follower, ..) | (ServerAsked::SameLife, TransactionStatus::InProgress, _) => {
            None
        }
        (_, _, OwnRow::IsThere)
        | (ServerAsked::SameLife, TransactionStatus::Committed, OwnRow::Never) => {
            Some(Fate::Stands)
        }
        // Its own or somebody else's, whose server was killed and gave it again; and a row may have been relayed and
        // pruned.
        (_, TransactionStatus::Committed, _) => Some(Fate::Unknown),
        (ServerAsked::Another, TransactionStatus::Forgotten, _) => Some(Fate::Unknown),
        _ => Some(Fate::TakenBack),
    }
}

async fn whom(server: &mut PgConnection, sent: &SentCommit) -> Result<ServerAsked, sqlx::Error> {
    let asked = sqlx::query_as(SERVER).fetch_one(server);
    let (follows, life): (bool, String) = asked.await?;
    Ok(match follows {
        true => ServerAsked::Follower,
        false if life == sent.life => ServerAsked::SameLife,
        false => ServerAsked::Another,
    })
}

async fn status(
    server: &mut PgConnection,
    sent: &SentCommit,
) -> Result<TransactionStatus, sqlx::Error> {
    let asked = sqlx::query_scalar("SELECT pg_xact_status($1::TEXT::XID8)").bind(&sent.id);
    let answer: Result<Option<String>, _> = asked.fetch_one(server).await;
    match answer {
        Ok(word) => Ok(of_word(word.as_deref())),
        Err(error) if trouble::is_no_such_value(&error) => Ok(TransactionStatus::NotGiven),
        Err(error) => Err(error),
    }
}

fn of_word(word: Option<&str>) -> TransactionStatus {
    match word {
        Some("committed") => TransactionStatus::Committed,
        Some("in progress") => TransactionStatus::InProgress,
        Some(_) => TransactionStatus::Aborted,
        None => TransactionStatus::Forgotten,
    }
}

/// Whether an event of this very work is there.
async fn own_row(
    open: &OpenSchema,
    server: &mut PgConnection,
    drafts: &Drafts,
) -> Result<OwnRow, sqlx::Error> {
    let Some(id) = drafts.ids().into_iter().next() else { return Ok(OwnRow::Never) };
    let select = outbox::is_there(&open.place);
    let is_there = sqlx::query_scalar(AssertSqlSafe(select)).bind(id).fetch_one(server).await?;
    Ok(if is_there { OwnRow::IsThere } else { OwnRow::Missing })
}

/// What was numbered. A row that is kept no more was relayed long ago: what is newest covers it.
async fn numbers(
    open: &OpenSchema,
    server: &mut PgConnection,
    drafts: &Drafts,
) -> Result<Vec<i64>, sqlx::Error> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let topic = open.kept.publishes.as_ref().map_or("", |it| it.topic.as_str());
    let asked = sqlx::query_scalar(AssertSqlSafe(outbox::numbers_of(&open.place)));
    let asked = asked.bind(topic).bind(drafts.ids()).bind(drafts.places());
    asked.fetch_all(server).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_believed_in_the_life_that_gave_it_and_a_row_of_its_own_elsewhere() {
        let ask_again = None;
        let (stands, taken_back) = (Some(Fate::Stands), Some(Fate::TakenBack));
        let unknown = Some(Fate::Unknown);
        let statuses = [
            TransactionStatus::Committed,
            TransactionStatus::InProgress,
            TransactionStatus::Aborted,
            TransactionStatus::NotGiven,
            TransactionStatus::Forgotten,
        ];
        let (same, another) = (ServerAsked::SameLife, ServerAsked::Another);
        for (asked, own, expected) in [
            (same, OwnRow::Never, [stands, ask_again, taken_back, taken_back, taken_back]),
            (same, OwnRow::Missing, [unknown, ask_again, taken_back, taken_back, taken_back]),
            (same, OwnRow::IsThere, [stands, ask_again, stands, stands, stands]),
            (another, OwnRow::Never, [unknown, taken_back, taken_back, taken_back, unknown]),
            (another, OwnRow::Missing, [unknown, taken_back, taken_back, taken_back, unknown]),
            (another, OwnRow::IsThere, [stands; 5]),
            (ServerAsked::Follower, OwnRow::Never, [ask_again; 5]),
            (ServerAsked::Follower, OwnRow::Missing, [ask_again; 5]),
            (ServerAsked::Follower, OwnRow::IsThere, [ask_again; 5]),
        ] {
            let found = statuses.map(|status| decided(asked, status, own));
            assert_eq!(found, expected, "{asked:?}, {own:?}");
        }
    }
}
