//! Two numbers of schemas as they are, and not as the nearest that a `f64` has: past 2^53 several whole numbers are one of those.
//!
//! Whole numbers are compared as such, and one with a fraction by what it stands between. Of two that are written with a fraction or an
//! exponent the text is gone once it is read, here and where events are judged: they are what was read of them.

use std::cmp::Ordering;

use serde_json::Number;

/// How they stand to one another; `None` where that cannot be told.
pub(super) fn order(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => beside(one, other.as_f64()?),
        (None, Some(other)) => beside(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

/// A whole number beside one that is read as a `f64`.
fn beside(whole: i128, other: f64) -> Option<Ordering> {
    // Past what any whole number is that was read, the cast stays at the end of its range, on the right side of all of them.
    let floor = other.floor();
    let is_between = other > floor;
    let below = whole.cmp(&(floor as i128));
    Some(below.then(if is_between { Ordering::Less } else { Ordering::Equal }))
        .filter(|_| !other.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_as_they_are_written_however_large_they_are() {
        use Ordering::{Equal, Greater, Less};
        for (one, other, expected) in [
            ("9007199254740993", "9007199254740992", Greater),
            ("-9007199254740993", "-9007199254740992", Less),
            ("18446744073709551615", "18446744073709551614", Greater),
            ("18446744073709551615", "-1", Greater),
            ("9007199254740993", "9007199254740992.0", Greater),
            ("1", "1.0", Equal),
            ("1", "1.5", Less),
            ("2", "1.5", Greater),
            ("-1", "-1.5", Greater),
            ("-2", "-1.5", Less),
            ("0", "1e300", Less),
            ("0", "-1e300", Greater),
            ("0.1", "0.2", Less),
            ("2.5", "2.50", Equal),
        ] {
            let number = |text: &str| serde_json::from_str::<Number>(text).expect("a number");
            let (is, turned) = (number(one), number(other));
            assert_eq!(order(&is, &turned), Some(expected), "{one} {other}");
            assert_eq!(order(&turned, &is), Some(expected.reverse()), "{other} {one}");
        }
    }
}
