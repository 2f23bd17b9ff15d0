//! What a client sends, read so that each fault names its field.

use agentframer::domain::field::FieldError;
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Rest;
use super::problem::Problem;

/// A JSON object as body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Rest> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, rest: &Rest) -> Result<Self, Problem> {
        if !is_json(&request) {
            let detail = "Send the body as application/json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Not JSON", detail));
        }
        let limit = rest.engine.config().limits.body_bytes;
        let bytes = to_bytes(request.into_body(), limit).await.map_err(|_| Problem::too_large(limit))?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::malformed(format!("body: is not valid JSON: {error}")))?;
        match value {
            Value::Object(object) => Ok(Self(read(object)?)),
            _ => Err(Problem::malformed("body: is not a JSON object")),
        }
    }
}

/// As [`Body`], where nothing at all stands for an object without fields.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Rest> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, rest: &Rest) -> Result<Self, Problem> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        if length.is_none_or(|length| length == "0") && !request.headers().contains_key(header::CONTENT_TYPE)
        {
            return Ok(Self(T::default()));
        }
        Body::from_request(request, rest).await.map(|Body(value)| Self(value))
    }
}

fn is_json(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    })
}

/// The parameters behind the question mark, each a text at first.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Rest> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Rest) -> Result<Self, Problem> {
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let mut object = Map::new();
        for (name, value) in pairs {
            if object.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
                return Err(FieldError::new(name, "is given twice").into());
            }
        }
        Ok(Self(read(object)?))
    }
}

/// Reads `object` as `T`. serde tells what is wrong but not where, so on a fault each field is read alone: a fault
/// other than another field's absence is this field's.
fn read<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, FieldError> {
    let whole = match serde_json::from_value(Value::Object(object.clone())) {
        Ok(read) => return Ok(read),
        Err(error) => error.to_string(),
    };
    for (name, value) in object {
        let alone = Map::from_iter([(name.clone(), value)]);
        if let Err(error) = serde_json::from_value::<T>(Value::Object(alone)) {
            let message = error.to_string();
            if !message.starts_with("missing field") {
                return Err(fault(name, &message));
            }
        }
    }
    match whole.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        Some(name) => Err(FieldError::new(name, "is missing")),
        None => Err(FieldError::new("body", whole)),
    }
}

fn fault(name: String, message: &str) -> FieldError {
    let expected = message.split_once(", expected ").map(|(_, rest)| rest);
    let says = match (message.starts_with("unknown field"), expected) {
        (true, Some(expected)) => {
            format!("is not known here; known: {}", expected.trim_start_matches("one of "))
        }
        (true, None) => "is not known here".to_owned(),
        (false, Some(expected)) if message.starts_with("invalid type") => {
            format!("is not {}", in_words(expected))
        }
        (false, _) if message.starts_with("invalid value") => "is out of range".to_owned(),
        (false, _) => message.to_owned(),
    };
    FieldError::new(name, says)
}

/// What serde expects, in the words of JSON.
fn in_words(expected: &str) -> &str {
    match expected {
        "i64" | "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    }
}

/// Reads an optional text, such as a parameter, as what it stands for.
///
/// # Errors
/// Names `field` and says what it would have to be.
pub fn parsed<T>(
    field: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    is: &str,
) -> Result<Option<T>, FieldError> {
    match text {
        Some(text) => read(text).map(Some).ok_or_else(|| FieldError::new(field, format!("is not {is}"))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use agentframer::domain::money::Usd;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        amount_usd: Usd,
        reference: String,
    }

    fn error(value: Value) -> String {
        let Value::Object(object) = value else { unreachable!("samples are objects") };
        read::<Sample>(object).unwrap_err().to_string()
    }

    #[test]
    fn a_good_object_is_read() {
        let Value::Object(object) = json!({"amount_usd": 1.5, "reference": "r"}) else {
            unreachable!("an object")
        };
        let sample: Sample = read(object).unwrap();
        assert_eq!((sample.amount_usd.to_string().as_str(), sample.reference.as_str()), ("1.5", "r"));
    }

    #[test]
    fn each_fault_names_its_field() {
        assert_eq!(error(json!({"amount_usd": 1})), "reference: is missing");
        assert_eq!(error(json!({})), "amount_usd: is missing");
        assert_eq!(error(json!({"amount_usd": 1, "reference": 5})), "reference: is not a string");
        assert_eq!(
            error(json!({"amount_usd": 0.1234567, "reference": "r"})),
            "amount_usd: has more than six decimals"
        );
        let unknown = error(json!({"amount_usd": 1, "reference": "r", "extra": 1}));
        assert_eq!(unknown, "extra: is not known here; known: `amount_usd` or `reference`");
    }

    #[test]
    fn what_is_expected_is_said_in_words() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Types {
            _whole: u32,
            _list: Vec<String>,
            _flag: bool,
        }
        for (value, says) in [
            (json!({"_whole": "2"}), "_whole: is not a whole number"),
            (json!({"_whole": 2.5}), "_whole: is not a whole number"),
            (json!({"_whole": -1}), "_whole: is out of range"),
            (json!({"_list": {}}), "_list: is not a list"),
            (json!({"_flag": 1}), "_flag: is not true or false"),
        ] {
            let Value::Object(object) = value else { unreachable!("samples are objects") };
            assert_eq!(read::<Types>(object).unwrap_err().to_string(), says);
        }
    }
}
