//! What a receiver's answer means (Standard Webhooks, Splunk's table of HEC codes, Datadog's log intake).

use super::super::time::{SECOND, Time};
use super::endpoint::Format;

/// Characters of a receiver's reason that are kept.
const TOLD: usize = 300;

/// A receiver's answer, or that there was none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status; none where no answer came.
    pub status: Option<u16>,
    /// The body's beginning.
    pub body: String,
    /// `Retry-After` in microseconds from now.
    pub retry_after: Option<i64>,
    /// Why no answer came.
    pub fault: Option<String>,
    /// No answer came in time: the receiver may be overloaded.
    pub timed_out: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// The same again later; `slow` where the receiver is overloaded.
    Later {
        /// For people.
        why: String,
        /// At least a minute from now.
        slow: bool,
        /// What the receiver asked for, in microseconds.
        retry_after: Option<i64>,
    },
    /// Less at once; never the same again.
    TooLarge,
    /// The receiver refuses the content.
    Refused(String),
    /// Nothing helps until a person changes something there: the endpoint is paused.
    Stop(String),
    /// The receiver says that it is gone for good: the endpoint is disabled.
    Gone,
}

/// Judges an answer.
pub fn judge(format: Format, answer: &Answer) -> Verdict {
    let Some(status) = answer.status else {
        let why = answer.fault.clone().unwrap_or_else(|| "no answer came".into());
        return Verdict::Later { why, slow: answer.timed_out, retry_after: None };
    };
    match (status, format) {
        (200..=299, Format::SplunkHec) => splunk(answer).unwrap_or(Verdict::Delivered),
        (200..=299, _) => Verdict::Delivered,
        (410, _) => Verdict::Gone,
        (413, _) => Verdict::TooLarge,
        (_, Format::SplunkHec) => splunk(answer).unwrap_or_else(|| later(answer, status)),
        (400 | 422, _) => Verdict::Refused(format!("the receiver answered {status}")),
        _ => later(answer, status),
    }
}

fn later(answer: &Answer, status: u16) -> Verdict {
    let why = match status {
        300..=399 => format!("the receiver answered {status}; redirects are not followed"),
        401 | 403 => format!("the receiver answered {status}: check the token"),
        _ => format!("the receiver answered {status}"),
    };
    let slow = matches!(status, 408 | 429 | 502 | 504);
    Verdict::Later { why, slow, retry_after: answer.retry_after }
}

/// Splunk says in its body what the status leaves open; `None` where the status tells all.
fn splunk(answer: &Answer) -> Option<Verdict> {
    let body: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    let text = told(body["text"].as_str().unwrap_or("no reason given"));
    match body["code"].as_i64()? {
        0 => Some(Verdict::Delivered),
        code @ (1..=4 | 7 | 10 | 11 | 14 | 16 | 21) => {
            Some(Verdict::Stop(format!("Splunk answered code {code}: {text}")))
        }
        code @ (5 | 6 | 12 | 13 | 15) => {
            Some(Verdict::Refused(format!("Splunk answered code {code}: {text}")))
        }
        9 => {
            Some(Verdict::Later { why: "Splunk is busy".into(), slow: true, retry_after: answer.retry_after })
        }
        _ => None,
    }
}

/// A receiver's words as they can be stored and shown: no database takes a NUL in a text, and no page a novel.
fn told(text: &str) -> String {
    text.chars().take(TOLD).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
pub fn retry_after(text: &str, now: Time) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds) * SECOND);
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some((date.timestamp().as_microsecond() - now.micros()).max(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status: Some(status), body: body.into(), ..Answer::default() }
    }

    fn is_later(verdict: &Verdict, slow: bool) -> bool {
        matches!(verdict, Verdict::Later { slow: is_slow, .. } if *is_slow == slow)
    }

    #[test]
    fn generic_answers_follow_standard_webhooks() {
        let judge = |status| judge(Format::Generic, &answer(status, ""));
        assert_eq!(judge(204), Verdict::Delivered);
        assert_eq!(judge(410), Verdict::Gone);
        assert_eq!(judge(413), Verdict::TooLarge);
        assert!(matches!(judge(400), Verdict::Refused(_)));
        assert!(matches!(judge(422), Verdict::Refused(_)));
        for slow in [408, 429, 502, 504] {
            assert!(is_later(&judge(slow), true), "{slow}");
        }
        for failed in [301, 401, 403, 404, 500, 501, 503] {
            assert!(is_later(&judge(failed), false), "{failed}");
        }
    }

    #[test]
    fn only_a_receiver_that_answers_too_late_is_slow_not_one_that_refuses_the_connection() {
        let refused = Answer { fault: Some("no connection".into()), ..Answer::default() };
        let late = Answer { timed_out: true, ..refused.clone() };
        assert!(is_later(&judge(Format::Generic, &refused), false));
        assert!(is_later(&judge(Format::Generic, &late), true));
    }

    #[test]
    fn a_reason_with_a_nul_or_without_an_end_can_be_stored() {
        let body = json!({ "code": 6, "text": format!("a\0b{}", "x".repeat(5_000)) }).to_string();
        let Verdict::Refused(why) = judge(Format::SplunkHec, &answer(400, &body)) else { panic!("refused") };
        assert!(!why.contains('\0') && why.contains("a\u{FFFD}b") && why.chars().count() < 400, "{why}");
    }

    #[test]
    fn splunk_is_judged_by_its_codes() {
        let judge = |status, code: i64| {
            judge(Format::SplunkHec, &answer(status, &format!(r#"{{"text":"x","code":{code}}}"#)))
        };
        assert_eq!(judge(200, 0), Verdict::Delivered);
        for (status, code) in [(403, 1), (401, 2), (401, 3), (403, 4), (400, 7), (400, 10), (400, 11)] {
            assert!(matches!(judge(status, code), Verdict::Stop(_)), "{code}");
        }
        for code in [5, 6, 12, 13, 15] {
            assert!(matches!(judge(400, code), Verdict::Refused(_)), "{code}");
        }
        assert!(is_later(&judge(503, 9), true));
        assert!(is_later(&judge(500, 8), false));
        assert!(is_later(&super::judge(Format::SplunkHec, &answer(502, "<html>")), true));
        assert_eq!(super::judge(Format::SplunkHec, &answer(200, "")), Verdict::Delivered);
    }

    #[test]
    fn datadog_keeps_trying_with_a_refused_key() {
        let judge = |status| judge(Format::Datadog, &answer(status, ""));
        assert_eq!(judge(202), Verdict::Delivered);
        assert!(is_later(&judge(403), false));
        assert!(matches!(judge(400), Verdict::Refused(_)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Time::parse("2026-11-22T10:00:00Z").unwrap();
        assert_eq!(retry_after("120", now), Some(120 * SECOND));
        assert_eq!(retry_after("Sun, 22 Nov 2026 10:02:00 GMT", now), Some(120 * SECOND));
        assert_eq!(retry_after("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(0));
        assert_eq!(retry_after("soon", now), None);
    }
}
