//! A wrong input, told by the name of the field it stands in.

use serde::{Deserialize, Serialize};

/// What is wrong with one field of an input; both parts are fit for the person or model who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field's name as the caller wrote it, such as `amount_usd`.
    pub field: String,
    /// What is wrong and what would be right, without the field's name.
    pub message: String,
}

impl FieldError {
    /// A fault in `field`, described by `message`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// What a sentence quotes of a value that somebody sent: the first 80 characters.
pub fn shortened(value: &str) -> String {
    match value.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// A text of `min` to `max` characters after trimming.
///
/// # Errors
/// Names `field` when it is shorter or longer.
pub fn text(field: &str, value: &str, min: usize, max: usize) -> Result<String, FieldError> {
    let trimmed = value.trim();
    let length = trimmed.chars().count();
    if length < min {
        let message =
            if length == 0 { "is missing".into() } else { format!("needs at least {min} characters") };
        return Err(FieldError::new(field, message));
    }
    if length > max {
        return Err(FieldError::new(field, format!("has {length} characters; at most {max} are allowed")));
    }
    Ok(trimmed.to_owned())
}

/// An e-mail address in lower case. Only the form is checked: one `@`, a dot in the domain, no space.
///
/// # Errors
/// Names `field` when it cannot be an address.
pub fn email(field: &str, value: &str) -> Result<String, FieldError> {
    let address = text(field, value, 3, 254)?.to_lowercase();
    let wrong = || FieldError::new(field, "is not an e-mail address, such as ada@example.com");
    let (local, domain) = address.split_once('@').ok_or_else(wrong)?;
    let sound = !local.is_empty()
        && domain.contains('.')
        && !domain.contains('@')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !address.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    if sound { Ok(address) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_lower_cased_and_a_broken_one_names_its_field() {
        assert_eq!(email("email", " Ada@Example.com ").unwrap(), "ada@example.com");
        for wrong in ["", "ada", "ada@", "@x.com", "a b@x.com", "a@x", "a@.com", "a@b@c.com"] {
            assert_eq!(email("email", wrong).unwrap_err().field, "email", "{wrong}");
        }
    }

    #[test]
    fn a_long_value_is_quoted_in_part() {
        assert_eq!(shortened("sketch-image-1"), "sketch-image-1");
        assert_eq!(shortened(&"窓".repeat(81)), format!("{}…", "窓".repeat(80)));
    }

    #[test]
    fn a_text_says_how_long_it_may_be() {
        assert!(text("name", "  ", 1, 5).unwrap_err().message.contains("missing"));
        assert!(text("name", "abcdef", 1, 5).unwrap_err().message.contains("at most 5"));
    }
}
