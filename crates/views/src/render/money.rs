//! Money, as `new Intl.NumberFormat('en', {style: 'currency', …})` prints it: a sign, thousands between
//! commas, digits behind a point. The same text from the server and from the app; which sign and how
//! many digits, settings say.

use minijinja::{Error, ErrorKind, Value};
use mistakes::Mistakes;
use serde::Deserialize;

/// Digits behind the point at most: no currency has more.
pub const DECIMALS_MAX: u8 = 4;
/// The longest sign, in letters.
pub const SIGN_LETTERS_MAX: usize = 8;

/// How the filter `money` writes an amount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// What stands before it, at most [`SIGN_LETTERS_MAX`] letters; nothing without it.
    #[serde(default)]
    pub sign: String,
    /// Digits behind the point, at most [`DECIMALS_MAX`]; none without it.
    #[serde(default)]
    pub decimals: u8,
}

impl Money {
    /// Notes what is wrong with it.
    pub fn check(&self, mistakes: &mut Mistakes) {
        if self.decimals > DECIMALS_MAX {
            let says = format!("at most {DECIMALS_MAX} digits. decimals=`{}`", self.decimals);
            mistakes.at(&["decimals"]).note(says);
        }
        if self.sign.chars().count() > SIGN_LETTERS_MAX {
            let says = format!("at most {SIGN_LETTERS_MAX} letters. sign=`{}`", self.sign);
            mistakes.at(&["sign"]).note(says);
        }
        if self.sign.chars().any(char::is_control) {
            let says = format!("no control characters. sign=`{}`", self.sign.escape_debug());
            mistakes.at(&["sign"]).note(says);
        }
    }

    /// A number as `₩10,000`, nothing as nothing.
    pub(super) fn write(&self, value: &Value) -> Result<String, Error> {
        if value.is_undefined() || value.is_none() {
            return Ok(String::new());
        }
        if let (true, Ok(whole)) = (value.is_integer(), i64::try_from(value.clone())) {
            let zeros = "0".repeat(usize::from(self.decimals));
            return Ok(self.signed(whole < 0, &whole.unsigned_abs().to_string(), &zeros));
        }
        match f64::try_from(value.clone()) {
            Ok(float) if float.is_finite() => {
                let digits = usize::from(self.decimals);
                // Halves go away from zero, as browsers round.
                let step = 10_f64.powi(i32::from(self.decimals));
                let rounded = format!("{:.digits$}", (float.abs() * step).round() / step);
                let (whole, behind) = rounded.split_once('.').unwrap_or((&rounded, ""));
                Ok(self.signed(float.is_sign_negative(), whole, behind))
            }
            _ => {
                let says = format!("money is a number, not {value}");
                Err(Error::new(ErrorKind::InvalidOperation, says))
            }
        }
    }

    fn signed(&self, negative: bool, whole: &str, behind: &str) -> String {
        let mut text = String::from(if negative { "-" } else { "" });
        text.push_str(&self.sign);
        for (at, digit) in whole.char_indices() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if !behind.is_empty() {
            text.push('.');
            text.push_str(behind);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn won() -> Money {
        Money { sign: "₩".to_owned(), decimals: 0 }
    }

    #[test]
    fn won_are_written_as_browsers_write_them() {
        let cases: [(Value, &str); 12] = [
            (0.into(), "₩0"),
            (999.into(), "₩999"),
            (1000.into(), "₩1,000"),
            (10000.into(), "₩10,000"),
            (1_234_567_890_123_i64.into(), "₩1,234,567,890,123"),
            ((-5000).into(), "-₩5,000"),
            (i64::MIN.into(), "-₩9,223,372,036,854,775,808"),
            (10000.5.into(), "₩10,001"),
            ((-0.4).into(), "-₩0"),
            (0.0.into(), "₩0"),
            (().into(), ""),
            (Value::UNDEFINED, ""),
        ];
        for (value, written) in cases {
            assert_eq!(won().write(&value).expect("a number"), written, "{value:?}");
        }
    }

    #[test]
    fn another_currency_has_another_sign_and_its_digits() {
        let dollars = Money { sign: "$".to_owned(), decimals: 2 };
        for (money, value, written) in [
            (&dollars, Value::from(1234), "$1,234.00"),
            (&dollars, 1234.5.into(), "$1,234.50"),
            (&dollars, 0.125.into(), "$0.13"),
            (&dollars, (-999.999).into(), "-$1,000.00"),
            (&Money::default(), 10_000.into(), "10,000"),
        ] {
            assert_eq!(money.write(&value).expect("a number"), written, "{value:?}");
        }
    }

    #[test]
    fn a_sign_and_digits_that_no_currency_has_are_mistakes() {
        let count = |sign: &str, decimals| {
            let mut mistakes = Mistakes::default();
            Money { sign: sign.to_owned(), decimals }.check(&mut mistakes);
            mistakes.found().len()
        };
        assert_eq!((count("CHF 1234", DECIMALS_MAX), count("", 0)), (0, 0));
        assert_eq!((count("CHF 12345", 0), count("", DECIMALS_MAX + 1)), (1, 1));
        assert_eq!((count("\0", 0), count("$\n", 0), count("\u{85}", 0)), (1, 1, 1));
    }

    #[test]
    fn what_is_no_number_is_no_money() {
        for value in [Value::from("12a"), f64::NAN.into(), f64::INFINITY.into(), vec![1].into()] {
            assert!(won().write(&value).is_err(), "{value:?}");
        }
    }
}
