//! Identifiers: a prefix that says what it names, and letters that cannot be guessed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::field::FieldError;
use super::time::Time;

/// Crockford's base 32 in lower case, so that text order is time order in every database's collation.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Bits of `bytes` as base 32, five at a time, the first bits first.
pub fn base32(bytes: &[u8]) -> String {
    let (mut text, mut buffer, mut bits) = (String::with_capacity(bytes.len() * 8 / 5 + 1), 0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((buffer >> bits) & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[((buffer << (5 - bits)) & 31) as usize]));
    }
    text
}

/// An id that sorts by its making: `prefix`, 48 bits of milliseconds, 80 random bits.
fn time_ordered(prefix: &str, unix_ms: u64, random: [u8; 10]) -> String {
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    format!("{prefix}{}", base32(&bytes))
}

/// When an id that sorts by its making was made; `None` for any other text.
pub fn made_at(id: &str) -> Option<Time> {
    let (_, letters) = id.rsplit_once('_')?;
    let digit = |letter: u8| ALPHABET.iter().position(|own| *own == letter);
    // Ten letters are 50 bits, of which the time is the first 48.
    let first = letters.as_bytes().first_chunk::<10>().filter(|_| letters.len() == 26)?;
    let bits = first.iter().try_fold(0i64, |bits, letter| Some(bits << 5 | digit(*letter)? as i64))?;
    Some(Time((bits >> 2) * 1_000))
}

/// What all ids can do; lets the engine make any of them from its clock and random source.
pub trait Id: Sized {
    /// The letters before the first underscore, underscore included.
    const PREFIX: &'static str;
    /// A new id from a time in milliseconds since 1970 and 80 random bits.
    fn new(unix_ms: u64, random: [u8; 10]) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text, prefix included.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn new(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(time_ordered($prefix, unix_ms, random))
            }
        }

        impl FromStr for $name {
            type Err = FieldError;
            fn from_str(text: &str) -> Result<Self, FieldError> {
                check($prefix, text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = FieldError;
            fn try_from(text: String) -> Result<Self, FieldError> {
                check($prefix, &text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A service identity.
    AgentId = "agent_";
    /// A row of the attempts table: a refused or failed call.
    AttemptId = "att_";
    /// A request of a data subject.
    DataRequestId = "dr_";
    /// An event as webhooks deliver it.
    EventId = "evt_";
    /// A generation: one call's result files.
    GenerationId = "g_";
    /// A legal hold.
    HoldId = "hold_";
    /// A person invited to a workspace.
    InvitationId = "inv_";
    /// A REST key.
    KeyId = "key_";
    /// A ledger entry.
    LedgerEntryId = "le_";
    /// A call or an administrative act.
    RequestId = "req_";
    /// A token of an agent.
    TokenId = "tok_";
    /// A person.
    UserId = "user_";
    /// A saved search.
    SavedSearchId = "search_";
    /// A run over a log that proves it.
    VerificationId = "ver_";
    /// A delivery to a webhook endpoint.
    DeliveryId = "whd_";
    /// A webhook endpoint.
    WebhookId = "wh_";
    /// A workspace.
    WorkspaceId = "ws_";
}

fn check(prefix: &str, text: &str) -> Result<(), FieldError> {
    let sound = text.strip_prefix(prefix).is_some_and(|rest| {
        (6..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if sound { Ok(()) } else { Err(FieldError::new("id", format!("is not an id of the form {prefix}…"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_keep_their_prefix() {
        let early = RequestId::new(1_000, [255; 10]);
        let late = RequestId::new(1_001, [0; 10]);
        assert!(early < late);
        assert!(early.as_str().starts_with("req_"));
        assert_eq!(early.as_str().parse::<RequestId>().unwrap(), early);
        let made = RequestId::new(1_792_000_123_456, [255; 10]);
        assert_eq!(made_at(made.as_str()), Some(Time(1_792_000_123_456_000)));
        assert_eq!(made_at("req_short"), None);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        assert!("ws_4kP9x2".parse::<WorkspaceId>().is_ok());
        for wrong in ["agent_abcdef", "ws_", "ws_a/b/c/d", "WS_abcdef", ""] {
            assert!(wrong.parse::<WorkspaceId>().is_err(), "{wrong}");
        }
    }
}
