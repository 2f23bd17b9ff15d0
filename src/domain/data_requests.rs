//! Requests of data subjects (GDPR articles 15 and 17): what they ask, by when, and how they move from state to state.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::access::Role;
use super::field::{self, FieldError};
use super::ids::{KeyId, RequestId, UserId};
use super::time::Time;

/// The most calls that a request may list.
const MOST_REQUEST_IDS: usize = 1_000;
/// The longest name of an agent, in bytes, without `agent.`.
const LONGEST_NAME: usize = 60;

/// What a subject asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A copy of the data (article 15).
    Access,
    /// That the data goes (article 17).
    Erasure,
}

impl Kind {
    /// The name in JSON and storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Erasure => "erasure",
        }
    }
}

impl FromStr for Kind {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text {
            "access" => Ok(Self::Access),
            "erasure" => Ok(Self::Erasure),
            _ => Err(FieldError::new("kind", "is not access or erasure")),
        }
    }
}

/// Where a request stands (contract §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Looked at, not filed: nothing is stored.
    Preview,
    /// Filed; an Admin decides.
    AwaitingApproval,
    /// Will be executed soon.
    Approved,
    /// Is being executed.
    Running,
    /// Executed whole.
    Done,
    /// Executed but for what a legal hold keeps.
    Partial,
    /// Could not be executed; may be tried again.
    Failed,
    /// Refused with a reason.
    Rejected,
    /// Withdrawn before it began.
    Cancelled,
    /// A legal hold keeps everything that it is about.
    BlockedByHold,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Preview,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Running,
        Self::Done,
        Self::Partial,
        Self::Failed,
        Self::Rejected,
        Self::Cancelled,
        Self::BlockedByHold,
    ];

    /// The name in JSON and storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::BlockedByHold => "blocked_by_hold",
        }
    }

    /// Whether somebody still has to do something by the due date.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Done | Self::Rejected | Self::Cancelled)
    }

    /// Whether a node has to begin it or to go on with it.
    pub const fn is_executed(self) -> bool {
        matches!(self, Self::Approved | Self::Running)
    }

    /// The state after `step`.
    ///
    /// # Errors
    /// [`WrongStep`] where the step does not lead on from here.
    pub const fn after(self, step: Step) -> Result<Self, WrongStep> {
        Ok(match (self, step) {
            (Self::Preview, Step::File) => Self::AwaitingApproval,
            (Self::AwaitingApproval, Step::Approve)
            | (Self::Failed | Self::Partial | Self::BlockedByHold, Step::Retry) => Self::Approved,
            (Self::AwaitingApproval | Self::BlockedByHold, Step::Reject) => Self::Rejected,
            (Self::AwaitingApproval | Self::Approved | Self::BlockedByHold, Step::Cancel) => Self::Cancelled,
            (Self::Approved, Step::Start) => Self::Running,
            (Self::Approved | Self::Running, Step::Block) => Self::BlockedByHold,
            (Self::Running, Step::Finish) => Self::Done,
            (Self::Running, Step::FinishInPart) => Self::Partial,
            (Self::Running, Step::Fail) => Self::Failed,
            (state, step) => return Err(WrongStep { state, step }),
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError::new("state", "is not a state of a data request");
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(wrong)
    }
}

/// What moves a request on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Somebody files it.
    File,
    /// An Admin agrees.
    Approve,
    /// An Admin refuses.
    Reject,
    /// Somebody withdraws it.
    Cancel,
    /// An Admin lets it run once more.
    Retry,
    /// A node begins.
    Start,
    /// A legal hold keeps everything.
    Block,
    /// All is done.
    Finish,
    /// All but what is held is done.
    FinishInPart,
    /// It could not be ended.
    Fail,
}

/// A step that does not lead on from a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A request in the state {state} does not take this step. Nothing was changed.")]
pub struct WrongStep {
    /// Where the request stands.
    pub state: State,
    /// What was tried.
    pub step: Step,
}

/// What a request is about; each given field must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// The `subject` that agents pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `agent.NAME`, or a person's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_ids: Option<Vec<String>>,
    /// A prompt, letter by letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_text: Option<String>,
    /// Calls at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Calls before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
}

impl Match {
    /// The same, trimmed.
    ///
    /// # Errors
    /// Names `match` where nothing is given, or the field that is empty, too long or upside down.
    pub fn checked(self) -> Result<Self, FieldError> {
        if self == Self::default() {
            return Err(FieldError::new("match", "names nothing; give at least one of its fields"));
        }
        let short =
            |field, text: Option<String>, max| text.map(|text| field::text(field, &text, 1, max)).transpose();
        if matches!((self.from, self.to), (Some(from), Some(to)) if from >= to) {
            return Err(FieldError::new("to", "is not after “from”"));
        }
        Ok(Self {
            subject: short("subject", self.subject, 200)?,
            user_id: self.user_id.map(|text| caller(text.trim())).transpose()?,
            request_ids: self.request_ids.map(calls).transpose()?,
            prompt_text: short("prompt_text", self.prompt_text, 32_000)?,
            ..self
        })
    }
}

/// Who calls: `agent.NAME`, or the id of a person or of a REST key.
fn caller(text: &str) -> Result<String, FieldError> {
    let is_agent = text.strip_prefix("agent.").is_some_and(|name| {
        (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    });
    let is_id = || text.parse::<UserId>().is_ok() || text.parse::<KeyId>().is_ok();
    let wrong = || FieldError::new("user_id", "is not agent.NAME, nor an id of the form user_… or key_…");
    if is_agent || is_id() { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn calls(ids: Vec<String>) -> Result<Vec<String>, FieldError> {
    let wrong = |message: String| FieldError::new("request_ids", message);
    if !(1..=MOST_REQUEST_IDS).contains(&ids.len()) {
        return Err(wrong(format!("lists {} calls; 1 to {MOST_REQUEST_IDS} are allowed", ids.len())));
    }
    match ids.iter().find(|id| id.parse::<RequestId>().is_err()) {
        Some(id) => Err(wrong(format!("has “{}”, which is no id of the form req_…", field::shortened(id)))),
        None => Ok(ids),
    }
}

/// The day on which an answer is due: one calendar month after receipt, three where it was extended (GDPR article
/// 12(3)). The 31st is due at the end of a shorter month.
pub fn due_on(received_on: Date, extended: bool) -> Date {
    received_on.saturating_add(if extended { 3 } else { 1 }.months())
}

/// Reads the day of receipt.
///
/// # Errors
/// Names `received_on` where it is no day, lies ahead of `now` or more than a year behind it.
pub fn received_on(text: &str, now: Time) -> Result<Date, FieldError> {
    let wrong = |message| FieldError::new("received_on", message);
    let day: Date = text.parse().map_err(|_| wrong("is not a day, such as 2026-01-31"))?;
    let today = now.date();
    // Somewhere it is tomorrow already.
    if day > today.saturating_add(1.day()) {
        return Err(wrong("lies in the future"));
    }
    if day < today.saturating_sub(1.year()) {
        return Err(wrong("is more than a year ago"));
    }
    Ok(day)
}

/// Whether somebody else than who filed a request has to approve it (four eyes): where there is another Admin, or a member
/// who was one when it was filed. Whoever files must not get round that by giving the others another role.
pub fn needs_another<'a>(
    filer: &str,
    admins_at_filing: &[String],
    members: impl IntoIterator<Item = (&'a str, Role)>,
) -> bool {
    members.into_iter().any(|(member, role)| {
        let was_admin = || admins_at_filing.iter().any(|admin| admin == member);
        member != filer && (role == Role::Admin || was_admin())
    })
}

/// Whether the subject can still be told of an extension: only before the first month has ended (article 12(3)).
pub fn may_extend(received: Date, already: bool, state: State, today: Date) -> bool {
    !already && state.is_open() && today <= due_on(received, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_calendar_months() {
        let due = |received, extended| due_on(day(received), extended).to_string();
        assert_eq!(due("2026-01-31", false), "2026-02-28");
        assert_eq!(due("2028-01-31", false), "2028-02-29");
        assert_eq!(due("2026-01-15", false), "2026-02-15");
        assert_eq!(due("2026-11-30", true), "2027-02-28");
        assert_eq!(due("2026-12-31", true), "2027-03-31");
    }

    #[test]
    fn an_extension_is_told_in_the_first_month_and_once() {
        let received = day("2026-01-31");
        assert!(may_extend(received, false, State::AwaitingApproval, day("2026-02-28")));
        assert!(!may_extend(received, false, State::AwaitingApproval, day("2026-03-01")));
        assert!(!may_extend(received, true, State::AwaitingApproval, day("2026-02-01")));
        assert!(!may_extend(received, false, State::Done, day("2026-02-01")));
    }

    #[test]
    fn each_state_takes_only_its_steps() {
        const STEPS: [Step; 10] = [
            Step::File,
            Step::Approve,
            Step::Reject,
            Step::Cancel,
            Step::Retry,
            Step::Start,
            Step::Block,
            Step::Finish,
            Step::FinishInPart,
            Step::Fail,
        ];
        let ways = |state: State| STEPS.into_iter().filter(|step| state.after(*step).is_ok()).count();
        let counts: Vec<usize> = State::ALL.into_iter().map(ways).collect();
        assert_eq!(counts, [1, 3, 3, 4, 0, 1, 1, 0, 0, 3]);
        assert_eq!(State::AwaitingApproval.after(Step::Approve), Ok(State::Approved));
        assert!(State::Running.after(Step::Cancel).is_err(), "what has begun is not half undone");
        assert!(State::Rejected.after(Step::Retry).is_err());
    }

    #[test]
    fn another_admin_of_now_or_then_has_to_approve() {
        let then = ["ada".to_owned(), "bob".to_owned()];
        let another =
            |then: &[String], now: &[(&'static str, Role)]| needs_another("ada", then, now.to_vec());
        assert!(!another(&then[..1], &[("ada", Role::Admin), ("vera", Role::Viewer)]));
        assert!(another(&then[..1], &[("ada", Role::Admin), ("eve", Role::Admin)]), "made one since");
        assert!(another(&then, &[("ada", Role::Admin), ("bob", Role::Viewer)]), "was one");
        assert!(!another(&then, &[("ada", Role::Admin)]), "has left");
    }

    #[test]
    fn a_match_names_something_and_its_wrong_field() {
        let field = |wanted: Match| wanted.checked().unwrap_err().field;
        assert_eq!(field(Match::default()), "match");
        let long = Match { subject: Some("x".repeat(10_000)), ..Match::default() };
        assert_eq!(field(long), "subject");
        assert_eq!(field(Match { request_ids: Some(Vec::new()), ..Match::default() }), "request_ids");
        let upside_down = Match { from: Some(Time(5)), to: Some(Time(5)), ..Match::default() };
        assert_eq!(field(upside_down), "to");
        for wrong in ["a text", "agent.", "agent.a b", "user_", "growth-bot", ""] {
            assert_eq!(
                field(Match { user_id: Some(wrong.into()), ..Match::default() }),
                "user_id",
                "{wrong}"
            );
        }
        for right in ["agent.growth-bot", "user_01h455vb4pex5v", " key_01h455vb4pex5v "] {
            let wanted = Match { user_id: Some(right.into()), ..Match::default() };
            assert_eq!(wanted.checked().unwrap().user_id.as_deref(), Some(right.trim()));
        }
        for wrong in [vec!["Grace Hopper".to_owned()], vec!["req_01h455vb4pex5v".to_owned(); 1_001]] {
            assert_eq!(field(Match { request_ids: Some(wrong), ..Match::default() }), "request_ids");
        }
    }

    #[test]
    fn a_day_of_receipt_is_a_day_of_the_last_year() {
        let now = Time::parse("2026-11-22T12:00:00Z").unwrap();
        assert_eq!(received_on("2026-11-22", now).unwrap(), day("2026-11-22"));
        for wrong in ["2026-11-31", "2026-12-24", "2025-11-21", "yesterday", ""] {
            assert_eq!(received_on(wrong, now).unwrap_err().field, "received_on", "{wrong}");
        }
    }
}
