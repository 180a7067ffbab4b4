//! What the event side refuses for a named limit, as a problem: which limit, how much it is, and what can be done.
//!
//! For limits on what is kept, which no other request mends by being smaller: the state is in the way (409). Where a request
//! is what is too large, whoever reads it says so by its field, and does not come here. Pure.

use chassis::http::Problem;

/// What [`events::Error::Limit`] calls notes on what was dropped, stepped over, moved or edited.
const NOTES: &str = "skipped";

/// 409 that names the limit.
pub fn over_limit(field: &str, value: u64, limit: u64) -> Problem {
    let says = if field == NOTES {
        format!(
            "{limit} notes on what was dropped, stepped over, moved or edited are kept there, as many as may be, and each is \
             for good: nothing more is done that needs one; letters are redriven as they are, which needs none"
        )
    } else {
        format!("`{field}` would be {value}, and is {limit} at most")
    };
    Problem::conflict(says).field(field, format!("would be {value}"), Some(limit.into()))
}
