//! Times, amounts and states as people read them.

use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::engine::data_requests::Matches;
use agentframer::engine::overview::Outcome;

/// `29 Apr, 14:22:08`.
pub fn to_the_second(time: Time) -> String {
    format!("{}, {}", short_day(time), time.to_string().get(11..19).unwrap_or_default())
}

/// `29 Apr 2026`.
pub fn day(time: Time) -> String {
    time.date().strftime("%-d %b %Y").to_string()
}

/// `29 Apr`.
pub fn short_day(time: Time) -> String {
    time.date().strftime("%-d %b").to_string()
}

/// `29 Apr 2026, 14:22 UTC`.
pub fn moment(time: Time) -> String {
    format!("{} UTC", minute(time))
}

/// A cost with three decimals at least, so that a column of them lines up: `$0.960`.
pub fn cost(amount: Usd) -> String {
    let text = amount.display();
    let decimals = text.rsplit('.').next().unwrap_or_default().len();
    text + &"0".repeat(3usize.saturating_sub(decimals))
}

/// `22 Nov 2026, 15:31`, for columns that say UTC in their head.
pub fn minute(time: Time) -> String {
    format!("{}, {}", day(time), time.to_string().get(11..16).unwrap_or_default())
}

/// The end of an id, where the whole of it would fill the row: `…m3p3mq6kzc`.
pub fn short_id(id: &str) -> String {
    format!("…{}", id.get(id.len().saturating_sub(10)..).unwrap_or(id))
}

/// A call's outcome and the tag's colour, in words that say if money moved.
pub fn outcome(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Paid => ("tag good", "paid".into()),
        Outcome::Free => ("tag", "free".into()),
        Outcome::Refused(code) => ("tag warn", format!("refused · {code}")),
        Outcome::Failed(code) => ("tag bad", format!("failed · {code} · not charged")),
    }
}

/// `1 prompt`, `2 prompts`.
pub fn count(number: i64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// How much a data request is about.
pub fn matches(found: &Matches) -> String {
    format!(
        "{}, {} and {}",
        count(found.prompts, "prompt"),
        count(found.media, "result"),
        count(found.rows, "log row")
    )
}

/// A text, or a dash where there is none.
pub fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "–".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let time = Time::parse("2026-04-29T14:22:08.413Z").unwrap();
        assert_eq!(to_the_second(time), "29 Apr, 14:22:08");
        assert_eq!(moment(time), "29 Apr 2026, 14:22 UTC");
        assert_eq!(short_day(time), "29 Apr");
    }

    #[test]
    fn costs_line_up() {
        let costs = [960_000, 42_000, 1_000_000, 123_456].map(|micros| cost(Usd::from_micros(micros)));
        assert_eq!(costs, ["$0.960", "$0.042", "$1.000", "$0.123456"]);
        assert_eq!(short_id("req_06h07rm19df1vqn4m3p3mq6kzc"), "…m3p3mq6kzc");
    }
}
