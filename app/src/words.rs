//! Times, amounts and states as people read them.

use agentframer::domain::time::Time;
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
    format!("{}, {} UTC", day(time), time.to_string().get(11..16).unwrap_or_default())
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
}
