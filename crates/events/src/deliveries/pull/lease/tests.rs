//! What leaves a lease, and in which order, by plain tables.

use super::*;

/// An event of this key, by its offset.
fn entry(offset: u64, key: &str) -> Entry {
    Entry {
        partition: 0,
        what: What::Fresh(offset),
        key: key.to_owned(),
        source: "order".to_owned(),
        id: format!("id-{offset}"),
        attempt: 1,
        rejected: None,
    }
}

fn lease(entries: &[(u64, &str)]) -> Lease {
    let until = Timestamp::from_second(30).expect("in range");
    Lease { until, entries: entries.iter().map(|it| entry(it.0, it.1)).collect() }
}

fn ids(offsets: &[u64]) -> Named {
    Named::Ids(offsets.iter().map(|offset| format!("id-{offset}")).collect())
}

fn offsets<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<u64> {
    entries.into_iter().filter_map(Entry::offset).map(|it| it.0).collect()
}

fn rejection() -> Rejection {
    Rejection { reason: "broken".to_owned(), again: Again::Backoff }
}

/// Runs that leave, each as the offsets of its events.
fn left(lease: &mut Lease) -> Vec<Vec<u64>> {
    let of_run = |run: &Run| offsets(std::iter::once(&run.first).chain(&run.behind));
    lease.rejected_first().iter().map(of_run).collect()
}

#[test]
fn what_is_named_is_taken_once_and_what_is_not_there_is_told() {
    let mut lease = lease(&[(1, "a"), (2, "b"), (3, "a")]);
    let mut unknown = Vec::new();
    assert_eq!(offsets(&lease.take(&ids(&[3, 7, 1, 3]), &mut unknown)), [1, 3]);
    assert_eq!((offsets(&lease.entries), &*unknown), (vec![2], &["id-7".to_owned()][..]));
    assert_eq!(offsets(&lease.take(&Named::All, &mut unknown)), [2]);
    assert_eq!((lease.entries.len(), unknown.len()), (0, 1));
}

#[test]
fn a_key_leaves_once_its_first_event_is_rejected_and_all_of_it() {
    let all = [(1, "a"), (2, "b"), (3, "a"), (4, "b"), (5, "a")];
    for (rejected, expected, stays) in [
        (&[][..], Vec::new(), vec![1, 2, 3, 4, 5]),
        (&[3], Vec::new(), vec![1, 2, 3, 4, 5]),
        (&[1], vec![vec![1, 3, 5]], vec![2, 4]),
        (&[5, 1], vec![vec![1, 3, 5]], vec![2, 4]),
        (&[2, 1], vec![vec![1, 3, 5], vec![2, 4]], vec![]),
    ] {
        let mut lease = lease(&all);
        let count = lease.reject(&ids(rejected), &rejection(), &mut Vec::new());
        assert_eq!(count, rejected.len());
        assert_eq!(left(&mut lease), expected, "{rejected:?}");
        assert_eq!(offsets(&lease.entries), stays, "{rejected:?}");
    }
    // The one before it is handled, and it is the first.
    let mut lease = lease(&all);
    lease.reject(&ids(&[3]), &rejection(), &mut Vec::new());
    lease.take(&ids(&[1]), &mut Vec::new());
    assert_eq!(left(&mut lease), [[3, 5]]);
}

#[test]
fn from_a_rejected_one_on_nothing_of_its_key_is_answered_for_any_more() {
    let all = [(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "b")];
    for (rejected, named, taken, told) in [
        (&[2][..], Named::All, vec![1, 3, 5], vec![2, 4]),
        (&[2], ids(&[4, 2]), vec![], vec![4, 2]),
        (&[4, 2], ids(&[1, 2, 3, 4]), vec![1, 3], vec![2, 4]),
        (&[1, 3], Named::All, vec![], vec![1, 2, 3, 4, 5]),
        (&[], Named::All, vec![1, 2, 3, 4, 5], vec![]),
    ] {
        let (mut lease, mut unknown) = (lease(&all), Vec::new());
        lease.reject(&ids(rejected), &rejection(), &mut Vec::new());
        assert_eq!(offsets(&lease.take(&named, &mut unknown)), taken, "{rejected:?} {named:?}");
        assert_eq!(Named::Ids(unknown), ids(&told), "{rejected:?} {named:?}");
    }
    // Of those that are rejected with one word it is the first of which that is noted.
    let mut together = lease(&all);
    assert_eq!(together.reject(&ids(&[4, 2]), &rejection(), &mut Vec::new()), 2);
    let noted = together.entries.iter().filter(|it| it.rejected.is_some());
    assert_eq!(offsets(noted), [2]);
    // Nor is it rejected twice, but what is before it is, and keeps what was said first.
    let (mut lease, mut unknown) = (lease(&all), Vec::new());
    lease.reject(&ids(&[2]), &rejection(), &mut Vec::new());
    let other = Rejection { again: Again::Never, ..rejection() };
    assert_eq!(lease.reject(&ids(&[1, 2, 4]), &other, &mut unknown), 1);
    assert_eq!(Named::Ids(unknown), ids(&[2, 4]));
    let said: Vec<_> = lease.entries.iter().map(|it| it.rejected.clone()).collect();
    assert_eq!(said, [Some(other), Some(rejection()), None, None, None]);
}

#[test]
fn of_those_behind_the_first_what_was_said_counts_else_the_end_of_the_lease() {
    let said = |again| Some(Rejection { again, ..rejection() });
    let (none, backoff, silent) = (None, said(Again::Backoff), said(Again::Uncounted));
    for (behind, end, expected) in [
        ([&none, &none, &none], None, [None, None, None]),
        ([&none, &none, &none], Some("end"), [Some("end"); 3]),
        ([&none, &backoff, &none], None, [None, Some("broken"), None]),
        ([&none, &backoff, &none], Some("end"), [Some("end"), Some("broken"), None]),
        ([&none, &silent, &none], Some("end"), [Some("end"), None, None]),
        ([&silent, &none, &backoff], Some("end"), [None, None, Some("broken")]),
    ] {
        let rejected = (1..).zip(behind);
        let entry = |(at, rejected): (u64, &Option<Rejection>)| Entry {
            rejected: rejected.clone(),
            ..entry(at, "a")
        };
        let behind: Vec<Entry> = rejected.map(entry).collect();
        let counted = counted(&behind, end);
        let found: Vec<_> = behind.iter().map(|it| counted.get(&it.what).copied()).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_key_has_an_order_of_its_own_in_each_partition() {
    let mut lease = lease(&[(1, "a"), (2, "a")]);
    lease.entries[1].partition = 1;
    assert_eq!(lease.end().len(), 2);
}

#[test]
fn a_lease_is_over_when_its_time_is_and_where_the_clock_was_set_back() {
    let lease = lease(&[]);
    // Of the longest lease one is sure whose clock is behind that of who gave it.
    let at = |second| Timestamp::from_second(second).expect("in range");
    let longest = i64::try_from(LEASE_MAX.as_secs()).expect("small");
    for (now, is_over) in
        [(29, false), (30, true), (31, true), (30 - 2 * longest, false), (29 - 2 * longest, true)]
    {
        assert_eq!(lease.is_over(at(now)), is_over, "{now}");
    }
}

#[test]
fn a_lease_is_kept_as_it_is_and_of_a_hurt_row_nothing_is_out() {
    let mut kept = lease(&[(1, "a"), (2, "열쇠 \"9\"")]);
    kept.entries[0].what = What::Parked(-7);
    kept.reject(&ids(&[2]), &rejection(), &mut Vec::new());
    let row = kept.to_row("token");
    assert_eq!(Lease::of_row(&row), kept);
    let hurt = LeaseRow { entries: row.entries[1..].to_vec(), ..row };
    assert_eq!(Lease::of_row(&hurt), Lease { until: kept.until, entries: Vec::new() });
}
