//! Won, exactly as `new Intl.NumberFormat('ko' | 'en', {style: 'currency', currency: 'KRW'})` prints
//! it: the same text from the server and from the app, in both languages.

use minijinja::{Error, ErrorKind, Value};

/// The filter: a number as `₩10,000`, nothing as nothing.
pub(super) fn money(value: &Value) -> Result<String, Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(String::new());
    }
    if let (true, Ok(whole)) = (value.is_integer(), i64::try_from(value.clone())) {
        return Ok(won(whole < 0, &whole.unsigned_abs().to_string()));
    }
    match f64::try_from(value.clone()) {
        Ok(float) if float.is_finite() => {
            Ok(won(float.is_sign_negative(), &format!("{:.0}", float.abs().round())))
        }
        _ => {
            Err(Error::new(ErrorKind::InvalidOperation, format!("money is a number, not {value}")))
        }
    }
}

fn won(negative: bool, digits: &str) -> String {
    let mut text = String::from(if negative { "-₩" } else { "₩" });
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(money(&value).expect("a number"), written, "{value:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_money() {
        for value in [Value::from("12a"), f64::NAN.into(), f64::INFINITY.into(), vec![1].into()] {
            assert!(money(&value).is_err(), "{value:?}");
        }
    }
}
