//! Whole numbers in JSON.

use serde_json::Value;

/// A whole number from 0 to [`MAX_WHOLE`]. `7.0` is one, as in JSON Schema: some languages write their numbers so.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let of_a_float = |number: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative and huge ones saturate")]
        (number.fract() == 0.0 && number >= 0.0).then_some(number as u64)
    };
    value.as_u64().or_else(|| value.as_f64().and_then(of_a_float)).filter(|number| *number <= MAX_WHOLE)
}

/// The largest whole number that every reader of JSON keeps (RFC 8259, section 6).
pub(crate) const MAX_WHOLE: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_without_a_fraction_is_whole_however_it_is_written() {
        for (value, number) in [
            (json!(0), Some(0)),
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!(MAX_WHOLE), Some(MAX_WHOLE)),
            (json!(9_007_199_254_740_991.0), Some(MAX_WHOLE)),
            (json!(MAX_WHOLE + 1), None),
            (json!(7.5), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!(1e300), None),
            (json!("7"), None),
            (json!(null), None),
        ] {
            assert_eq!(whole(&value), number, "{value}");
        }
    }
}
