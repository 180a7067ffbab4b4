//! Which moments a text of fields says, on the days when clocks change too.

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The moments after this one, as the zone's clock shows them, with its offset.
fn next(cron: &str, zone_name: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (Cron::parse(cron).unwrap(), zone(zone_name));
    let mut at: Timestamp = after.parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        at = cron.next_after(at, &zone).unwrap();
        all.push(at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M%:z").to_string());
    }
    all
}

#[test]
fn fields_say_which_moments_come_next() {
    for (cron, expected) in [
        ("* * * * *", ["2026-11-28 12:01+00:00", "2026-11-28 12:02+00:00"]),
        ("*/15 * * * *", ["2026-11-28 12:15+00:00", "2026-11-28 12:30+00:00"]),
        ("0 9 * * *", ["2026-11-29 09:00+00:00", "2026-11-30 09:00+00:00"]),
        ("30 8-18/5 * * *", ["2026-11-28 13:30+00:00", "2026-11-28 18:30+00:00"]),
        ("0 0 1 * *", ["2026-12-01 00:00+00:00", "2027-01-01 00:00+00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00+00:00", "2032-02-29 00:00+00:00"]),
        ("0 0 * * mon,Fri", ["2026-11-30 00:00+00:00", "2026-12-04 00:00+00:00"]),
        ("0 0 * * 7", ["2026-11-29 00:00+00:00", "2026-12-06 00:00+00:00"]),
        ("0 0 * * 0", ["2026-11-29 00:00+00:00", "2026-12-06 00:00+00:00"]),
        // Either day will do where both are restricted, both are needed where one is not.
        ("0 0 1 * mon", ["2026-11-30 00:00+00:00", "2026-12-01 00:00+00:00"]),
        ("0 0 */2 * mon", ["2026-12-07 00:00+00:00", "2026-12-21 00:00+00:00"]),
        ("0  0 1 JAN-mar  *", ["2027-01-01 00:00+00:00", "2027-02-01 00:00+00:00"]),
    ] {
        assert_eq!(next(cron, "UTC", "2026-11-28T12:00:00Z", 2), expected, "{cron}");
    }
    assert_eq!(
        next("0 9 * * *", "Asia/Seoul", "2026-11-28T00:00:00Z", 1),
        ["2026-11-29 09:00+09:00"]
    );
    let never = Cron::parse("0 0 30 2 *").unwrap();
    assert_eq!(never.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
}

#[test]
fn a_time_that_is_left_out_comes_by_the_offset_from_before_and_once() {
    // Berlin goes from 02:00 to 03:00 on 29 March 2026.
    let before = "2026-03-28T12:00:00Z";
    let daily = next("30 2 * * *", "Europe/Berlin", before, 2);
    assert_eq!(daily, ["2026-03-29 03:30+02:00", "2026-03-30 02:30+02:00"]);
    let hourly = next("30 * * * *", "Europe/Berlin", "2026-03-28T23:45:00Z", 3);
    assert_eq!(
        hourly,
        ["2026-03-29 01:30+01:00", "2026-03-29 03:30+02:00", "2026-03-29 04:30+02:00"]
    );
    // Of two times that are shifted differently the sooner one is first: Lord Howe goes forward by half an hour.
    let half = next("25,40 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 3);
    assert_eq!(
        half,
        ["2026-10-04 02:40+11:00", "2026-10-04 02:55+11:00", "2026-10-05 02:25+11:00"]
    );
}

#[test]
fn a_time_that_is_there_twice_comes_once_and_where_every_hour_does_in_both() {
    // New York goes from 02:00 back to 01:00 on 1 November 2026.
    let before = "2026-11-01T00:00:00Z";
    let daily = next("30 1 * * *", "America/New_York", before, 2);
    assert_eq!(daily, ["2026-11-01 01:30-04:00", "2026-11-02 01:30-05:00"]);
    let hourly = next("30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 3);
    assert_eq!(
        hourly,
        ["2026-11-01 01:30-04:00", "2026-11-01 01:30-05:00", "2026-11-01 02:30-05:00"]
    );
    let often = next("*/30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 4);
    assert_eq!(
        often,
        [
            "2026-11-01 01:30-04:00",
            "2026-11-01 01:00-05:00",
            "2026-11-01 01:30-05:00",
            "2026-11-01 02:00-05:00"
        ]
    );
}

#[test]
fn whatever_comes_is_after_and_nothing_that_fits_is_between() {
    for cron in ["* * * * *", "7 */2 * * *", "30 2 * * *", "15 0,3,23 * * 0"] {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
            let (cron, zone) = (Cron::parse(cron).unwrap(), zone(name));
            let begin: Timestamp = "2026-03-28T00:00:00Z".parse().unwrap();
            let minute = |at: i64| begin + at.minutes();
            // Every minute of two days, asked one by one: the answer may only change where it is reached.
            let mut next = cron.next_after(minute(-1), &zone).unwrap();
            for at in 0..2 * 24 * 60 {
                if minute(at) == next {
                    let following = cron.next_after(next, &zone).unwrap();
                    assert!(following > next);
                    next = following;
                }
                assert_eq!(cron.next_after(minute(at), &zone), Some(next), "{name} {}", minute(at));
            }
        }
    }
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (text, at, says) in [
        ("", 1, "must be five fields"),
        ("* * * *", 1, "and has 4"),
        ("* * * * * *", 1, "and has 6"),
        ("60 * * * *", 1, "the minute must be 0 to 59"),
        ("* 24 * * *", 3, "the hour must be 0 to 23"),
        ("* * 0 * *", 5, "the day of month must be 1 to 31"),
        ("* * * 13 *", 7, "the month must be 1 to 12"),
        ("* * * * 8", 9, "the day of week must be 0 to 7"),
        ("* * * * mond", 9, "the day of week must be 0 to 7"),
        ("1,2,x * * * *", 5, "the minute"),
        ("5-1 * * * *", 3, "ends before it begins"),
        ("5- * * * *", 3, "the minute"),
        ("1-2-3 * * * *", 5, "a second `-`"),
        ("5/2 * * * *", 3, "goes with `*` or a range"),
        ("*/0 * * * *", 3, "a step of the minute must be 1 to 59"),
        ("*/2/2 * * * *", 5, "a second step"),
        ("+1 * * * *", 1, "the minute"),
        ("*  é * * *", 4, "the hour"),
    ] {
        let wrong = Cron::parse(text).unwrap_err();
        assert!(wrong.at == at && wrong.reason.contains(says), "{text}: {wrong:?}");
    }
    let long = format!("0{} 0 1 1 *", ",0".repeat(CRON_BYTES_MAX / 2 - 4));
    assert_eq!(long.len(), CRON_BYTES_MAX);
    assert!(Cron::parse(&long).is_ok());
    assert!(Cron::parse(&format!("{long} ")).unwrap_err().reason.contains("255 bytes"));
}
