//! Numbers as people write them.

use std::fmt::Display;

use super::money::thousands;

/// `1 prompt`, `2 prompts`.
pub fn count<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    let many = if number == N::from(1) { "" } else { "s" };
    format!("{} {one}{many}", thousands(&number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_one() {
        let counted = [0, 1, 2, 1_284].map(|number| count(number, "call"));
        assert_eq!(counted, ["0 calls", "1 call", "2 calls", "1,284 calls"]);
    }
}
