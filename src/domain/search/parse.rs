//! From a text to a [`Search`], with errors that point into the text.

use std::ops::Range;

use jiff::civil::Date;

use super::{Condition, Field, LONGEST, MOST, Moment, QueryError, Search, Status, Term};
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR, MINUTE, Time};

type Result<T> = std::result::Result<T, QueryError>;

/// The qualifiers that are no [`Field`].
const OTHERS: [&str; 4] = ["cost", "status", "after", "before"];
/// The longest time ago: ten years, as long as a log is kept.
const LONGEST_AGO: i64 = 3_660 * DAY;

pub(super) fn search(text: &str) -> Result<Search> {
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST);
        return Err(QueryError::new(end..text.len(), format!("The query is longer than {LONGEST} bytes.")));
    }
    let mut search = Search::default();
    for word in words(text)? {
        let term = term(text, &word)?;
        if let Some(first) = search.terms.iter().find(|first| repeats(first, &term)) {
            let message = format!(
                "“{}” already demands this; write both values as one word, as in a,b.",
                first.condition
            );
            return Err(QueryError::new(word, message));
        }
        if search.terms.len() == MOST {
            return Err(QueryError::new(word, format!("A query has at most {MOST} words.")));
        }
        search.terms.push(term);
    }
    Ok(search)
}

/// Two demands on one field can never both hold, or say the same; two exclusions can.
fn repeats(first: &Term, second: &Term) -> bool {
    let same = match (&first.condition, &second.condition) {
        (Condition::OneOf(first, _), Condition::OneOf(second, _)) => first == second,
        (first, second) => std::mem::discriminant(first) == std::mem::discriminant(second),
    };
    same && !first.negated && !second.negated
}

/// Where each word stands: up to a space outside quotes.
fn words(text: &str) -> Result<Vec<Range<usize>>> {
    let (mut words, mut start, mut quote, mut escaped) = (Vec::new(), None, None, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quote.is_some() && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quote = if quote.is_some() { None } else { Some(at) };
            start = start.or(Some(at));
        } else if quote.is_none() && c.is_whitespace() {
            words.extend(start.take().map(|start| start..at));
        } else {
            start = start.or(Some(at));
        }
    }
    if let Some(open) = quote {
        return Err(QueryError::new(open..text.len(), "This quote is never closed."));
    }
    words.extend(start.map(|start| start..text.len()));
    Ok(words)
}

fn term(text: &str, word: &Range<usize>) -> Result<Term> {
    let negated = text[word.clone()].starts_with('-');
    let body = word.start + usize::from(negated)..word.end;
    Ok(Term { negated, condition: condition(text, &body)? })
}

fn condition(text: &str, word: &Range<usize>) -> Result<Condition> {
    let plain = &text[word.clone()];
    if let Some(field) = told_by_its_form(plain) {
        return Ok(Condition::OneOf(field, values(text, word, field)?));
    }
    let Some((name, _)) = plain.split_once(':').filter(|(name, _)| !name.contains('"')) else {
        return Err(QueryError::new(word.clone(), alone(plain)));
    };
    let value = word.start + name.len() + 1..word.end;
    let given = &text[value.clone()];
    if given.is_empty() {
        return Err(QueryError::new(word.clone(), format!("“{name}:” needs a value right after the colon.")));
    }
    match name {
        "cost" => cost(given).map_err(|message| QueryError::new(value, message)),
        "after" => moment(given).map(Condition::After).map_err(|message| QueryError::new(value, message)),
        "before" => moment(given).map(Condition::Before).map_err(|message| QueryError::new(value, message)),
        "status" => statuses(text, &value),
        _ => match Field::ALL.into_iter().find(|field| field.name() == name) {
            Some(field) => Ok(Condition::OneOf(field, values(text, &value, field)?)),
            None => Err(QueryError::new(word.start..value.start, unknown(name))),
        },
    }
}

/// Ids and hashes are recognised without a qualifier, as they are pasted.
fn told_by_its_form(word: &str) -> Option<Field> {
    let is_one =
        |prefix: &str| word.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains(':'));
    [("req_", Field::Request), ("sha256:", Field::Hash), ("agent.", Field::Agent), ("user_", Field::User)]
        .into_iter()
        .find_map(|(prefix, field)| is_one(prefix).then_some(field))
}

fn alone(word: &str) -> String {
    if word.is_empty() {
        return "A “-” stands alone; put it right before a word, as in -status:free.".into();
    }
    let shown = word.trim_matches('"');
    format!("“{shown}” stands alone. Say what it is, such as agent:{shown} or model:{shown}.")
}

fn unknown(name: &str) -> String {
    let known = || Field::ALL.into_iter().map(Field::name).chain(OTHERS);
    let is_other = |known: &str| known.as_bytes().first() != name.as_bytes().first();
    let near = known().map(|known| (distance(name, known), is_other(known), known)).min();
    match near {
        Some((0..=2, _, near)) => format!("“{name}:” is not known. Did you mean {near}:?"),
        _ => format!("“{name}:” is not known. Known are {}:.", known().collect::<Vec<_>>().join(":, ")),
    }
}

/// How many letters have to be changed, added or left out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let kept = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = kept.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The values of a list, each with its place; quotes and escapes are resolved.
fn list(text: &str, span: &Range<usize>) -> Result<Vec<(Range<usize>, String)>> {
    let (mut found, mut value, mut start) = (Vec::new(), String::new(), span.start);
    let (mut in_quotes, mut escaped, mut was_quoted) = (false, false, false);
    for (offset, c) in text[span.clone()].char_indices() {
        let at = span.start + offset;
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' if in_quotes => escaped = true,
            '"' => {
                in_quotes = !in_quotes;
                was_quoted = true;
            }
            ',' if !in_quotes => {
                found.push((start..at, std::mem::take(&mut value), was_quoted));
                (start, was_quoted) = (at + 1, false);
            }
            c => value.push(c),
        }
    }
    found.push((start..span.end, value, was_quoted));
    if found.len() > MOST {
        return Err(QueryError::new(span.clone(), format!("A word has at most {MOST} values.")));
    }
    let mut values = Vec::with_capacity(found.len());
    for (place, value, was_quoted) in found {
        if value.is_empty() && !was_quoted {
            let comma = if place.end < span.end { place.end } else { place.start.saturating_sub(1) };
            return Err(QueryError::new(comma..comma + 1, "A value is missing beside this comma."));
        }
        values.push((place, value));
    }
    Ok(values)
}

fn values(text: &str, span: &Range<usize>, field: Field) -> Result<Vec<String>> {
    list(text, span)?
        .into_iter()
        .map(|(place, value)| value_of(field, value).map_err(|message| QueryError::new(place, message)))
        .collect()
}

fn value_of(field: Field, value: String) -> std::result::Result<String, String> {
    let value = match field {
        Field::Agent => value.strip_prefix("agent.").map_or(value.clone(), str::to_owned),
        _ => value,
    };
    if value.is_empty() {
        return Err(format!("{}: needs a value.", field.name()));
    }
    if value.ends_with('*') && !field.takes_prefix() {
        return Err(format!("{}: takes whole values only, without a “*”.", field.name()));
    }
    if field == Field::Region && value.parse::<Region>().is_err() {
        let regions = Region::ALL.map(|region| region.as_str()).join(" or ");
        return Err(format!("“{value}” is not a region; write {regions}."));
    }
    if field == Field::Hash && !value.starts_with("sha256:") {
        return Err("A hash begins with “sha256:”. Use “Find by prompt” to search for a text.".into());
    }
    Ok(value)
}

fn statuses(text: &str, span: &Range<usize>) -> Result<Condition> {
    let found = list(text, span)?.into_iter().map(|(place, value)| {
        let known = Status::ALL.into_iter().find(|status| status.as_str() == value);
        known.ok_or_else(|| {
            let words = Status::ALL.map(Status::as_str).join(", ");
            QueryError::new(place, format!("“{value}” is not a status; known are {words}."))
        })
    });
    found.collect::<Result<_>>().map(Condition::Status)
}

fn cost(text: &str) -> std::result::Result<Condition, String> {
    let (least, most) = if let Some((from, to)) = text.split_once("..") {
        (Some(amount(from)?), Some(amount(to)?))
    } else if let Some(rest) = text.strip_prefix(">=") {
        (Some(amount(rest)?), None)
    } else if let Some(rest) = text.strip_prefix("<=") {
        (None, Some(amount(rest)?))
    } else if let Some(rest) = text.strip_prefix('>') {
        (Some(beside(amount(rest)?, 1)), None)
    } else if let Some(rest) = text.strip_prefix('<') {
        (None, Some(beside(amount(rest)?, -1)))
    } else {
        let exact = amount(text.strip_prefix('=').unwrap_or(text))?;
        (Some(exact), Some(exact))
    };
    if matches!((least, most), (Some(least), Some(most)) if least > most) {
        return Err("The first amount of a range must not be above the second.".into());
    }
    Ok(Condition::Cost(least, most))
}

/// Money is a whole number of micro-dollars, so “more than” is “at least one more”.
const fn beside(amount: Usd, micros: i64) -> Usd {
    Usd::from_micros(amount.micros() + micros)
}

fn amount(text: &str) -> std::result::Result<Usd, String> {
    let number = text.strip_prefix('$').unwrap_or(text);
    number.parse().map_err(|error| format!("“{text}” {error}. Write cost:>0.5, cost:<=2 or cost:0.1..0.5."))
}

fn moment(text: &str) -> std::result::Result<Moment, String> {
    if let Some(ago) = ago(text) {
        return Ok(Moment::Ago(ago));
    }
    let time = text.parse::<Date>().ok().filter(|_| text.len() == 10).map(|date| format!("{date}T00:00:00Z"));
    let time = Time::parse(time.as_deref().unwrap_or(text));
    time.map(Moment::At).ok_or_else(|| {
        format!(
            "“{text}” is not a time. Write 2026-04-29, 2026-04-29T14:22:08Z, or 7d, 12h, 30m for so long ago."
        )
    })
}

fn ago(text: &str) -> Option<i64> {
    let unit = match text.as_bytes().last()? {
        b'd' => DAY,
        b'h' => HOUR,
        b'm' => MINUTE,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let number = number.parse::<i64>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.checked_mul(unit).filter(|micros| *micros <= LONGEST_AGO)
}
