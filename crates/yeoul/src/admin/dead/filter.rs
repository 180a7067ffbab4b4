//! Which dead letters somebody means who names none: a filter over what a letter shows.
//!
//! Every part that is given has to hold. One that is misspelt is refused, since it would mean more letters than it says; and so
//! is none at all, unless `all=true` says that this is meant. Pure, but for reading the query: the time is an argument.

use chassis::http::Problem;
use chassis::http::query::Query;
use chassis::settings::text::Period;
use events::Topic;
use events::parking::DeadLetter;
use jiff::Timestamp;

/// Letters that one call tries again or drops at most; what is left is said, and done by the next.
pub(crate) const MENDED_MAX: u64 = 1_000;

/// How many it does where nobody says.
const MENDED_USUALLY: u64 = 100;

/// What a filter may have.
const PARTS: [&str; 7] = ["subscription", "topic", "type", "key", "since", "until", "reason"];

/// What else may stand beside it where letters are to be mended.
const BESIDE: [&str; 4] = ["all", "limit", "dry_run", "by"];

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    subscription: Option<String>,
    topic: Option<String>,
    kind: Option<String>,
    key: Option<String>,
    /// Parked then or later.
    since: Option<Timestamp>,
    /// Parked before.
    until: Option<Timestamp>,
    /// What its reason has somewhere.
    reason: Option<String>,
}

/// What is to be done to letters that a filter means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) filter: Filter,
    pub(crate) limit: u64,
    /// They are only said.
    pub(crate) is_dry: bool,
    /// On whose word.
    pub(crate) by: String,
}

impl Filter {
    /// What a query says of letters, where it need not say anything. `names` are those that may have letters.
    ///
    /// # Errors
    /// 400 with every mistake.
    pub(crate) fn read(
        mut query: Query,
        names: &[&str],
        now: Timestamp,
    ) -> Result<Filter, Problem> {
        query.only(&PARTS);
        let filter = Filter::parts(&mut query, names, now);
        query.finish()?;
        Ok(filter)
    }

    fn parts(query: &mut Query, names: &[&str], now: Timestamp) -> Filter {
        let given = |query: &mut Query, name: &str| {
            let text = query.get(name)?.to_owned();
            if text.is_empty() {
                query.note(name, "must not be empty: leave it out where all are meant");
            }
            Some(text)
        };
        let filter = Filter {
            subscription: given(query, "subscription"),
            topic: given(query, "topic"),
            kind: given(query, "type"),
            key: given(query, "key"),
            since: moment(query, "since", now),
            until: moment(query, "until", now),
            reason: given(query, "reason"),
        };
        let is_nobody = |name: &String| !name.is_empty() && !names.contains(&name.as_str());
        if filter.subscription.as_ref().is_some_and(is_nobody) {
            let all = names.join(", ");
            query.note("subscription", format!("has no letters here; who may have: {all}"));
        }
        if let Some(Err(wrong)) =
            filter.topic.as_deref().filter(|it| !it.is_empty()).map(Topic::parse)
        {
            query.note("topic", wrong.to_string());
        }
        filter
    }

    /// Whether it means this one.
    pub(crate) fn means(&self, letter: &DeadLetter) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|it| it == is);
        same(&self.subscription, &letter.subscription)
            && same(&self.topic, letter.topic.as_str())
            && same(&self.kind, &letter.kind)
            && same(&self.key, &letter.key)
            && self.since.is_none_or(|since| letter.since >= since)
            && self.until.is_none_or(|until| letter.since < until)
            && self.reason.as_ref().is_none_or(|part| letter.reason.contains(part.as_str()))
    }
}

impl Selection {
    /// What a query says of letters that are to be mended.
    ///
    /// # Errors
    /// 400 with every mistake, and where it says nothing.
    pub(crate) fn read(
        mut query: Query,
        names: &[&str],
        now: Timestamp,
    ) -> Result<Selection, Problem> {
        query.only(&[&PARTS[..], &BESIDE[..]].concat());
        let filter = Filter::parts(&mut query, names, now);
        let (all, is_dry) = (flag(&mut query, "all"), flag(&mut query, "dry_run"));
        let has_parts = PARTS.iter().any(|part| query.get(part).is_some());
        if all == has_parts {
            query.note(
                "all",
                "must be `true` where no filter says which are meant, and stand beside none",
            );
        }
        let limit = query.whole("limit", 1..=MENDED_MAX, MENDED_USUALLY);
        let by = query.get("by").unwrap_or("the admin listener").to_owned();
        query.finish()?;
        Ok(Selection { filter, limit, is_dry, by })
    }
}

/// Whether it is asked for.
pub(super) fn flag(query: &mut Query, name: &str) -> bool {
    match query.get(name) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            query.note(name, "must be `true` or `false`");
            false
        }
    }
}

/// A moment, or how long ago.
fn moment(query: &mut Query, name: &str, now: Timestamp) -> Option<Timestamp> {
    let text = query.get(name)?;
    let ago = |Period(time)| now.checked_sub(time).ok();
    let moment = text.parse().ok().or_else(|| Period::parse(text).and_then(ago));
    if moment.is_none() {
        query.note(
            name,
            "must be a time such as 2024-05-01T12:00:00Z, or how long ago: `90s`, `12h` or `30d`",
        );
    }
    moment
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["product.order", "outbox.order"];

    fn now() -> Timestamp {
        "2024-05-02T12:00:00Z".parse().expect("a time")
    }

    fn letter() -> DeadLetter {
        DeadLetter {
            id: "product.order.7".to_owned(),
            subscription: "product.order".to_owned(),
            topic: Topic::parse("order").expect("a topic"),
            key: "9".to_owned(),
            kind: "OrderPlaced".to_owned(),
            attempts: 3,
            reason: "no address given".to_owned(),
            since: "2024-05-02T11:00:00Z".parse().expect("a time"),
            waiting: 0,
        }
    }

    fn query(raw: &str) -> Query {
        Query::parse(Some(raw)).expect("a query")
    }

    #[test]
    fn a_filter_means_what_every_part_of_it_says() {
        for (raw, means) in [
            ("", true),
            ("subscription=product.order&topic=order&type=OrderPlaced&key=9", true),
            ("subscription=outbox.order", false),
            ("topic=product", false),
            ("type=OrderCancelled", false),
            ("key=90", false),
            ("reason=address", true),
            ("reason=Address", false),
            ("key=9&reason=stock", false),
            ("since=2024-05-02T11:00:00Z", true),
            ("since=2024-05-02T11:00:01Z", false),
            ("until=2024-05-02T11:00:00Z", false),
            ("until=2024-05-02T11:00:01Z", true),
            ("since=2h", true),
            ("since=30s", false),
            ("until=30s", true),
        ] {
            let filter = Filter::read(query(raw), NAMES, now()).expect("a filter");
            assert_eq!(filter.means(&letter()), means, "{raw}");
        }
    }

    #[test]
    fn what_is_misspelt_empty_or_nobodys_is_refused_by_field() {
        for (raw, field) in [
            ("keys=9", "keys"),
            ("key=", "key"),
            ("reason=", "reason"),
            ("subscription=product.orders", "subscription"),
            ("topic=a/b", "topic"),
            ("since=yesterday", "since"),
            ("until=2024-05-02", "until"),
            ("limit=5", "limit"),
        ] {
            let wrong = Filter::read(query(raw), NAMES, now()).expect_err(raw);
            assert_eq!(wrong.errors()[0].field, field, "{raw}");
        }
    }

    #[test]
    fn all_letters_are_mended_only_where_that_is_said() {
        for (raw, field) in [
            ("", Some("all")),
            ("all=false", Some("all")),
            ("all=true", None),
            ("all=true&key=9", Some("all")),
            ("all=yes", Some("all")),
            ("key=9", None),
            ("key=9&limit=0", Some("limit")),
            ("key=9&limit=1000", None),
            ("key=9&limit=1001", Some("limit")),
            ("key=9&dry_run=1", Some("dry_run")),
            ("key=9&dry-run=true", Some("dry-run")),
        ] {
            let read = Selection::read(query(raw), NAMES, now());
            let wrong = read.as_ref().err().map(|wrong| wrong.errors()[0].field.as_str());
            assert_eq!(wrong, field, "{raw}");
        }
        let given = Selection::read(query("key=9&dry_run=true&by=me"), NAMES, now()).expect("one");
        assert_eq!((given.is_dry, given.by.as_str(), given.limit), (true, "me", MENDED_USUALLY));
    }
}
