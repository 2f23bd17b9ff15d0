//! Events packed into one request, within each receiver's limits.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::ids::EventId;
use super::super::time::{HOUR, MINUTE, Time};
use super::endpoint::Format;
use super::event::{Envelope, Event, GENERATION_FAILED};

/// What this product is called where receivers ask for a source.
const SOURCE: &str = "agentframer";

/// Datadog takes an entry that is older than 18 hours and drops it without a word: what waited longer than this is
/// shown under a later time, and its own stays in `ts`.
const DATADOG_OLDEST: i64 = 18 * HOUR - 5 * MINUTE;

/// The most that one request carries: Datadog takes 1000 entries and 5 MB, Splunk's default is 1 MB.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events.
    pub events: usize,
    /// Bytes before compression.
    pub bytes: usize,
}

impl Format {
    /// The most that one request of this format carries.
    pub const fn limits(self) -> Limits {
        match self {
            Self::Generic => Limits { events: 1, bytes: usize::MAX },
            Self::Datadog => Limits { events: 1_000, bytes: 4_250_000 },
            Self::SplunkHec => Limits { events: 1_000, bytes: 1_000_000 },
        }
    }
}

/// A log row as an endpoint sees it: `None` where its filter leaves the event out.
pub type Seen = (i64, Option<Event>);

/// One request's events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parcel {
    /// The first event's id, which names the request on every retry.
    pub id: Option<EventId>,
    /// The places and names of its events, in order.
    pub events: Vec<(i64, EventId, String)>,
    /// The bytes that are sent, before compression.
    pub body: Vec<u8>,
    /// The place of the last log row that it settles, rows that were left out included.
    pub to_seq: i64,
}

impl Parcel {
    fn add(&mut self, event: &Event, item: &[u8], format: Format) {
        if self.id.is_none() {
            self.id = Some(event.id.clone());
        }
        match format {
            Format::Generic => {}
            Format::Datadog => self.body.push(if self.body.is_empty() { b'[' } else { b',' }),
            Format::SplunkHec if self.body.is_empty() => {}
            Format::SplunkHec => self.body.push(b'\n'),
        }
        self.body.extend_from_slice(item);
        self.events.push((event.seq, event.id.clone(), event.name().to_owned()));
        self.to_seq = event.seq;
    }

    fn close(mut self, format: Format) -> Self {
        if format == Format::Datadog && !self.body.is_empty() {
            self.body.push(b']');
        }
        self
    }
}

/// Packs rows in their order, to be sent `now`. `most` events a request at most, and never beyond the format's limits; the last parcel
/// also settles the rows behind it that were left out. Where no event is left, one empty parcel settles all rows.
pub fn pack(rows: &[Seen], format: Format, host: &str, most: usize, now: Time) -> Vec<Parcel> {
    let limits = format.limits();
    let most = most.clamp(1, limits.events);
    let (mut parcels, mut open) = (Vec::new(), Parcel::default());
    for (seq, event) in rows {
        let Some(event) = event else {
            open.to_seq = *seq;
            continue;
        };
        let item = item(event, format, host, now);
        if open.events.len() >= most
            || (!open.events.is_empty() && open.body.len() + item.len() + 2 > limits.bytes)
        {
            parcels.push(std::mem::take(&mut open).close(format));
        }
        open.add(event, &item, format);
    }
    if open.to_seq > 0 {
        parcels.push(open.close(format));
    }
    parcels
}

fn item(event: &Event, format: Format, host: &str, now: Time) -> Vec<u8> {
    match format {
        Format::Generic => Ok(event.body()),
        Format::Datadog => serde_json::to_vec(&datadog(event, host, now)),
        Format::SplunkHec => serde_json::to_vec(&splunk(event, host)),
    }
    .unwrap_or_default()
}

/// An entry of Datadog's log intake: its own fields, and ours at the root.
#[derive(Debug, Serialize)]
struct DatadogEntry<'a> {
    message: String,
    ddsource: &'static str,
    ddtags: String,
    hostname: &'a str,
    service: &'static str,
    status: &'static str,
    /// Milliseconds, never older than [`DATADOG_OLDEST`].
    timestamp: u64,
    event_id: &'a EventId,
    #[serde(flatten)]
    envelope: &'a Envelope,
}

fn datadog<'a>(event: &'a Event, host: &'a str, now: Time) -> DatadogEntry<'a> {
    let envelope = &event.envelope;
    DatadogEntry {
        message: sentence(envelope),
        ddsource: SOURCE,
        ddtags: format!(
            "workspace:{},region:{},event:{}",
            envelope.workspace_id, envelope.region, envelope.event
        ),
        hostname: host,
        service: SOURCE,
        status: severity(&envelope.event),
        timestamp: envelope.ts.max(now.plus(-DATADOG_OLDEST)).millis(),
        event_id: &event.id,
        envelope,
    }
}

/// An event of Splunk's HTTP event collector; `fields` is flat and indexed.
fn splunk(event: &Event, host: &str) -> Value {
    let envelope = &event.envelope;
    json!({
        "time": seconds(envelope.ts),
        "host": host,
        "source": SOURCE,
        "sourcetype": "agentframer:event",
        "event": envelope,
        "fields": {
            "event_id": event.id,
            "workspace_id": envelope.workspace_id,
            "event_name": envelope.event,
            "severity": severity(&envelope.event),
        },
    })
}

/// Seconds with milliseconds, as a JSON number.
fn seconds(time: Time) -> Value {
    let text = format!("{}.{:03}", time.millis() / 1_000, time.millis() % 1_000);
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

fn severity(event: &str) -> &'static str {
    match event {
        GENERATION_FAILED | "webhook.disabled" => "error",
        "budget.alert" | "balance.exhausted" | "agent.paused" | "agent.token_expiring" => "warn",
        _ => "info",
    }
}

fn sentence(envelope: &Envelope) -> String {
    let what = envelope.tool.as_deref().map(|tool| format!(" {tool}")).unwrap_or_default();
    let cost = envelope.cost_usd.map(|cost| format!(" for {}", cost.display())).unwrap_or_default();
    format!("{}: {}{what}{cost}", envelope.event, envelope.user_id)
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::generation;
    use super::*;

    fn rows(count: i64) -> Vec<Seen> {
        (1..=count).map(|seq| (seq, Some(generation(seq)))).collect()
    }

    #[test]
    fn every_row_is_settled_once_and_in_order() {
        let mut rows = rows(2_500);
        for left_out in [0, 700, 2_499] {
            rows[left_out].1 = None;
        }
        for format in Format::ALL {
            let parcels = pack(&rows, format, "h", 1_000, Time(0));
            let sent: Vec<i64> =
                parcels.iter().flat_map(|parcel| parcel.events.iter().map(|(seq, ..)| *seq)).collect();
            assert_eq!(sent.len(), 2_497);
            assert!(sent.is_sorted() && parcels.is_sorted_by_key(|parcel| parcel.to_seq));
            assert_eq!(parcels.last().unwrap().to_seq, 2_500);
            let limits = format.limits();
            assert!(
                parcels
                    .iter()
                    .all(|parcel| parcel.events.len() <= limits.events && parcel.body.len() <= limits.bytes)
            );
        }
    }

    #[test]
    fn rows_without_an_event_are_settled_by_an_empty_parcel() {
        let parcels = pack(&[(7, None), (8, None)], Format::Generic, "h", 1, Time(0));
        assert_eq!((parcels.len(), parcels[0].to_seq, parcels[0].body.len()), (1, 8, 0));
    }

    #[test]
    fn datadog_gets_an_array_with_our_fields_at_the_root() {
        let parcel = &pack(&rows(2), Format::Datadog, "af.example.com", 10, Time(0))[0];
        let body: Vec<Value> = serde_json::from_slice(&parcel.body).unwrap();
        assert_eq!(body.len(), 2);
        assert_eq!(body[0]["timestamp"], 1_777_472_528_413_u64);
        assert_eq!((&body[0]["ddsource"], &body[0]["cost_usd"]), (&json!("agentframer"), &json!(0.042)));
        assert_eq!(body[0]["message"], "generation.completed: agent.growth-bot generate_image for $0.042");
    }

    #[test]
    fn splunk_gets_objects_one_after_another() {
        let parcel = &pack(&rows(2), Format::SplunkHec, "af.example.com", 10, Time(0))[0];
        let text = String::from_utf8(parcel.body.clone()).unwrap();
        let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((objects.len(), &objects[0]["time"]), (2, &json!(1_777_472_528.413)));
        assert_eq!(objects[0]["event"]["event"], "generation.completed");
        assert!(objects[0]["fields"].as_object().unwrap().values().all(Value::is_string));
    }

    #[test]
    fn a_halved_limit_makes_smaller_parcels() {
        assert_eq!(pack(&rows(10), Format::Datadog, "h", 5, Time(0)).len(), 2);
    }

    #[test]
    fn datadog_gets_no_entry_that_is_too_old_and_ours_keeps_its_time() {
        let made = generation(1).envelope.ts;
        for (waited, shown) in [(17 * HOUR, made), (3 * 24 * HOUR, made.plus(3 * 24 * HOUR - DATADOG_OLDEST))]
        {
            let parcel = &pack(&rows(1), Format::Datadog, "h", 1, made.plus(waited))[0];
            let body: Vec<Value> = serde_json::from_slice(&parcel.body).unwrap();
            assert_eq!(body[0]["timestamp"], shown.millis());
            assert_eq!(body[0]["ts"], "2026-04-29T14:22:08.413Z");
        }
    }
}
