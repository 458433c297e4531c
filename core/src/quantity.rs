//! A number with its noun, for texts.

/// `1 object`, `2 objects`: the number with the noun in singular or plural.
pub fn quantity(number: u64, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        for (number, text) in [(0, "0 copies"), (1, "1 copy"), (2, "2 copies")] {
            assert_eq!(quantity(number, "copy", "copies"), text);
        }
    }
}
