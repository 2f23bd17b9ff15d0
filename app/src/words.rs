//! Times, amounts and states as people read them.

use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::domain::usage::Runway;
use agentframer::engine::access::members::Member;
use agentframer::engine::data::data_requests::Matches;
use agentframer::engine::views::overview::Outcome;

use crate::reader;

/// What an input is about, from its name: `Log retention days`.
pub fn field(name: &str) -> String {
    let words = match name {
        "again" => "the same top-up",
        "confirm" => "workspace’s name",
        "day_usd" => "cap a day",
        "email" => "e-mail",
        "ip_allowlist" => "network",
        "key" => "API key",
        "key_name" => "name",
        "key_role" => "role",
        "match" => "request",
        "month_usd" => "cap a month",
        "people" => "list",
        "slack_url" => "slack",
        "target" => "agent or subject",
        "url" => "address",
        name => name,
    };
    let words = words.strip_suffix("_usd").unwrap_or(words).replace('_', " ");
    let first = words.chars().next().into_iter().flat_map(char::to_uppercase);
    first.chain(words.chars().skip(1)).collect()
}

/// In the reader's zone; days of charts and caps stay UTC's.
fn in_zone(time: Time, format: &str) -> String {
    time.timestamp().to_zoned(reader::zone()).strftime(format).to_string()
}

/// `29 Apr, 14:22:08`, in the reader's zone.
pub fn to_the_second(time: Time) -> String {
    in_zone(time, "%-d %b, %H:%M:%S")
}

/// `29 Apr 2026, 14:22:08`, in the zone of that name: what is sent after a page sees the page's clock.
pub fn clock_in(time: Time, zone: &str) -> String {
    time.timestamp().to_zoned(reader::zone_named(zone)).strftime("%-d %b %Y, %H:%M:%S").to_string()
}

/// `29 Apr 2026, 14:22:08 UTC`, for what stands behind a time.
pub fn in_utc(time: Time) -> String {
    format!("{}, {} UTC", day(time), time.to_string().get(11..19).unwrap_or_default())
}

/// `29 Apr 2026, 14:22`, for what is counted in UTC and says so.
pub fn utc_minute(time: Time) -> String {
    format!("{}, {}", day(time), time.to_string().get(11..16).unwrap_or_default())
}

/// `Time (Europe/Berlin)`: the head of a column of times.
pub fn time_head() -> String {
    format!("Time ({})", reader::zone_name())
}

/// `29 Apr 2026`.
pub fn day(time: Time) -> String {
    time.date().strftime("%-d %b %Y").to_string()
}

/// `29 Apr`.
pub fn short_day(time: Time) -> String {
    time.date().strftime("%-d %b").to_string()
}

/// Whole cents, for what is only a guide.
pub fn cents(amount: Usd) -> String {
    amount.whole_cents().display()
}

/// When money runs out: `29 Apr`, with the year where it is not the present one.
pub fn runway(runway: Runway, now: Time) -> String {
    match runway {
        Runway::UsedUp => "used up".into(),
        Runway::Until(end) if end.date().year() == now.date().year() => short_day(end),
        Runway::Until(end) => day(end),
        Runway::Long => "not soon".into(),
    }
}

/// `29 Apr 2026, 14:22 UTC`, or the reader's zone.
pub fn moment(time: Time) -> String {
    in_zone(time, "%-d %b %Y, %H:%M %Z")
}

/// `29 Apr 2026, 14:22:08 UTC`, or the reader's zone.
pub fn second(time: Time) -> String {
    in_zone(time, "%-d %b %Y, %H:%M:%S %Z")
}

/// A cost with three decimals at least, so that a column of them lines up: `$0.960`.
pub fn cost(amount: Usd) -> String {
    let text = amount.display();
    let decimals = text.rsplit('.').next().unwrap_or_default().len();
    text + &"0".repeat(3usize.saturating_sub(decimals))
}

/// `22 Nov 2026, 15:31`, for columns that say the zone in their head.
pub fn minute(time: Time) -> String {
    in_zone(time, "%-d %b %Y, %H:%M")
}

/// A person's name; the id of an agent, of a key, of the system, or of somebody who left.
pub fn name_of(actor: &str, members: &[Member]) -> String {
    let known = members.iter().find(|member| member.user_id.as_str() == actor);
    known.map_or_else(|| actor.to_owned(), |member| member.name.clone())
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

pub use agentframer::domain::words::count;

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
    fn a_runway_into_another_year_names_it() {
        let now = Time::parse("2026-10-14T12:00:00Z").unwrap();
        let until = |text| runway(Runway::Until(Time::parse(text).unwrap()), now);
        assert_eq!([until("2026-12-31T12:00:00Z"), until("2027-10-14T12:00:00Z")], ["31 Dec", "14 Oct 2027"]);
        assert_eq!([runway(Runway::UsedUp, now), runway(Runway::Long, now)], ["used up", "not soon"]);
    }

    #[tokio::test]
    async fn a_reader_elsewhere_sees_the_own_clock() {
        let time = Time::parse("2026-04-29T22:22:08.413Z").unwrap();
        let berlin =
            reader::Reader { zone: reader::zone_named("Europe/Berlin"), ..reader::Reader::default() };
        let read = reader::reading(berlin, async { (moment(time), to_the_second(time), time_head()) }).await;
        let expected = ("30 Apr 2026, 00:22 CEST", "30 Apr, 00:22:08", "Time (Europe/Berlin)");
        assert_eq!((&*read.0, &*read.1, &*read.2), expected);
        assert_eq!(
            (moment(time), in_utc(time)),
            ("29 Apr 2026, 22:22 UTC".into(), "29 Apr 2026, 22:22:08 UTC".into())
        );
        assert_eq!(reader::zone_named("Nowhere/At_All"), jiff::tz::TimeZone::UTC);
    }

    #[test]
    fn costs_line_up() {
        let costs = [960_000, 42_000, 1_000_000, 123_456].map(|micros| cost(Usd::from_micros(micros)));
        assert_eq!(costs, ["$0.960", "$0.042", "$1.000", "$0.123456"]);
        assert_eq!(short_id("req_06h07rm19df1vqn4m3p3mq6kzc"), "…m3p3mq6kzc");
    }
}
