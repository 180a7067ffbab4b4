//! What a subscription missed: told in a note, in the transaction of what came behind it.
//!
//! It goes on, because what is not in its topic any more will not come, and nobody is to overlook it.

use crate::error::Error;
use crate::skipped::{Skipped, moment};
use crate::store::inbox::{Assigned, Gap};
use crate::store::tx::Tx;

/// Writes it down; where there is no room for one more note, enough is told.
pub(crate) async fn note(tx: &mut Tx<'_>, of: Assigned<'_>, gap: &Gap) -> Result<(), Error> {
    let Assigned { subscription, partition } = of;
    let Gap { source, first, last } = gap;
    let reason = format!("events of `{source}` were published and are not in the topic");
    tracing::error!(subscription, %partition, source, first, last, "events are missing");
    let note = Skipped {
        name: subscription.to_owned(),
        kind: "gap".to_owned(),
        partition,
        first: *first,
        last: *last,
        event: None,
        key: None,
        reason,
        at: moment(tx.now()),
        by: source.clone(),
    };
    match tx.note(&note).await {
        // So many notes are told already.
        Err(Error::Limit { .. }) => Ok(()),
        noted => noted,
    }
}
