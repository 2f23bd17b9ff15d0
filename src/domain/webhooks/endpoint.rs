//! Where events go and how: formats, addresses, filters, headers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::super::addresses::is_public;
use super::super::field::FieldError;
use super::event::{CALL_COMPLETED, is_known};

/// How events are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One event a request, as the brief shows it.
    Generic,
    /// A JSON array for Datadog's log intake.
    Datadog,
    /// Splunk's HTTP event collector.
    SplunkHec,
}

impl Format {
    /// Every format, as forms offer them.
    pub const ALL: [Self; 3] = [Self::Generic, Self::Datadog, Self::SplunkHec];

    /// The name in JSON and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Datadog => "datadog",
            Self::SplunkHec => "splunk_hec",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Generic => "Generic",
            Self::Datadog => "Datadog",
            Self::SplunkHec => "Splunk HEC",
        }
    }

    /// The receiver's path where the URL names none.
    const fn path(self) -> &'static str {
        match self {
            Self::Generic => "/",
            Self::Datadog => "/api/v2/logs",
            Self::SplunkHec => "/services/collector/event",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError::new("format", "is not a format; choose generic, datadog or splunk_hec");
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(wrong)
    }
}

/// Reads an endpoint's URL. What its name leads to is checked again at each connection.
///
/// # Errors
/// The field `url`: not a URL, not https, with a login, or an address that is not public, unless `allow_private`.
pub fn url(text: &str, format: Format, allow_private: bool) -> Result<Url, FieldError> {
    let wrong = |message: &str| FieldError::new("url", message);
    if text.len() > 2_000 {
        return Err(wrong("is longer than 2000 characters"));
    }
    let mut url = Url::parse(text.trim())
        .map_err(|_| wrong("is not a URL, such as https://siem.example.com/events"))?;
    if url.scheme() != "https" && !(allow_private && url.scheme() == "http") {
        return Err(wrong("does not begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a name or password; use the token or a header instead"));
    }
    if !allow_private && !may_be_public(&url) {
        return Err(wrong(
            "leads to an address that is not public; your operator can allow it with webhooks.allow_private_addresses",
        ));
    }
    url.set_fragment(None);
    if matches!(url.path(), "" | "/") {
        url.set_path(format.path());
    }
    Ok(url)
}

/// How a URL stands in the log, which nobody can change: path and query may hold a token, so only the host is named, with
/// a fingerprint of the whole that tells one URL from another.
pub fn in_log(url: &str) -> String {
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    format!("{origin} (SHA-256 {})", hex::encode(&Sha256::digest(url)[..6]))
}

/// An address must be public; a name is judged when it is resolved.
pub fn may_be_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(name)) => name.contains('.') && !name.ends_with(".localhost"),
        None => false,
    }
}

/// Reads an event filter; an empty list asks for all.
///
/// # Errors
/// The field `events`, naming the one that does not exist.
pub fn events(names: &[String]) -> Result<Vec<String>, FieldError> {
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let message = format!("names “{unknown}”, which is not an event; /reference/events.json lists them");
        return Err(FieldError::new("events", message));
    }
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Whether an endpoint with this filter gets an event.
pub fn wants(filter: &[String], event: &str) -> bool {
    if filter.is_empty() { event != CALL_COMPLETED } else { filter.iter().any(|name| name == event) }
}

/// Headers that are ours, or that decide how the request is read.
const OWN_HEADERS: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "authorization",
    "dd-api-key",
    "expect",
];

/// Checks a header of the user's own.
///
/// # Errors
/// The field `headers`.
pub fn header(name: &str, value: &str) -> Result<(), FieldError> {
    let lower = name.to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !is_name {
        return Err(FieldError::new("headers", format!("has “{name}”, which is not a header's name")));
    }
    let is_own = OWN_HEADERS.contains(&lower.as_str())
        || lower.starts_with("webhook-")
        || lower.starts_with("x-agentframer-");
    if is_own {
        return Err(FieldError::new(
            "headers",
            format!("has “{name}”, which AgentFramer sets itself; a credential goes into “token”"),
        ));
    }
    if value.len() > 2_000 || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(FieldError::new(
            "headers",
            format!("has a value of “{name}” that a header cannot carry"),
        ));
    }
    Ok(())
}

/// Checks the token with which the receiver knows us.
///
/// # Errors
/// The field `token`: missing where the format needs one, or with characters that a header cannot carry.
pub fn token(format: Format, token: Option<&str>) -> Result<(), FieldError> {
    match token {
        None if format == Format::Generic => Ok(()),
        None => Err(FieldError::new("token", format!("is missing; {} needs one", format.title()))),
        Some(token)
            if token.len() <= 2_000
                && !token.is_empty()
                && token.bytes().all(|b| (b'!'..=b'~').contains(&b)) =>
        {
            Ok(())
        }
        Some(_) => Err(FieldError::new(
            "token",
            "has characters that a header cannot carry, or more than 2000 of them",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_addresses_unless_allowed() {
        for good in ["https://siem.example.com/x", "https://8.8.8.8/x"] {
            assert!(url(good, Format::Generic, false).is_ok(), "{good}");
        }
        for bad in [
            "http://siem.example.com/x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://[::ffff:10.0.0.1]/x",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://localhost/x",
            "https://a.localhost/x",
            "https://user:pass@siem.example.com/",
            "ftp://siem.example.com/",
            "javascript:alert(1)",
            "siem",
            "",
        ] {
            assert_eq!(url(bad, Format::Generic, false).unwrap_err().field, "url", "{bad}");
        }
        assert!(url("http://127.0.0.1:8088/x", Format::Generic, true).is_ok());
    }

    #[test]
    fn a_bare_host_gets_the_formats_path() {
        let path = |format| url("https://h.example.com", format, false).unwrap().path().to_owned();
        assert_eq!(path(Format::Datadog), "/api/v2/logs");
        assert_eq!(path(Format::SplunkHec), "/services/collector/event");
    }

    #[test]
    fn a_url_stands_in_the_log_without_what_may_be_a_token() {
        let [one, other] =
            ["https://h.example.com:8088/x?token=s3cret", "https://h.example.com:8088/x?token=other"];
        assert!(
            in_log(one).starts_with("https://h.example.com:8088 (SHA-256 ")
                && !in_log(one).contains("s3cret")
        );
        assert!(in_log(one) == in_log(one) && in_log(one) != in_log(other));
    }

    #[test]
    fn filters_headers_and_tokens_are_checked() {
        assert_eq!(events(&["nonsense".into()]).unwrap_err().field, "events");
        assert!(wants(&[], "member.invited") && !wants(&[], CALL_COMPLETED));
        assert!(
            wants(&["budget.alert".into()], "budget.alert")
                && !wants(&["budget.alert".into()], "member.invited")
        );
        assert!(header("X-Team", "growth").is_ok());
        for (name, value) in
            [("Host", "x"), ("webhook-id", "x"), ("X\r\nY", "x"), ("X-A", "a\r\nb"), ("Authorization", "x")]
        {
            assert_eq!(header(name, value).unwrap_err().field, "headers", "{name}");
        }
        assert!(token(Format::Datadog, None).is_err() && token(Format::Generic, None).is_ok());
        assert!(token(Format::SplunkHec, Some("a b")).is_err());
    }
}
