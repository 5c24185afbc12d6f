//! What a parser says, made useful: where it is, and what was meant.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Position};

/// The least likeness (Jaro and Winkler's, 0 to 1) at which a known word is suggested.
const ALIKE: f64 = 0.75;

pub(super) fn suggestion(meant: Option<&str>, known: &[String]) -> String {
    match meant {
        Some(word) => format!("; did you mean {word:?}?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are {}", known.join(", ")),
    }
}

pub(super) fn of_toml(text: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    match unknown(message) {
        Some((what, key, known)) => {
            let at = place_of(text, &key, &span).unwrap_or(span.start);
            complain(what, key, known, position(text, at))
        }
        None => ConfigError::Syntax { at: position(text, span.start), what: message.trim().to_owned() },
    }
}

pub(super) fn of_json(text: &str, error: &serde_json::Error) -> ConfigError {
    let at = Position { line: error.line().max(1), column: error.column().max(1) };
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    match unknown(message) {
        Some((what, key, known)) => {
            let at = text.find(&format!("{key:?}")).map_or(at, |offset| position(text, offset));
            complain(what, key, known, at)
        }
        None => ConfigError::Syntax { at, what: message.to_owned() },
    }
}

fn complain(what: &'static str, key: String, known: Vec<String>, at: Position) -> ConfigError {
    let likeness = |word: &String| strsim::jaro_winkler(&key.to_lowercase(), word);
    let meant = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let meant = meant.filter(|word| likeness(word) >= ALIKE).cloned();
    ConfigError::Unknown { at, what, key, known, meant }
}

/// Takes serde's words for an unknown key or choice apart: the first quoted word is what was found, the others are
/// what was expected.
fn unknown(message: &str) -> Option<(&'static str, String, Vec<String>)> {
    let what = match message {
        _ if message.starts_with("unknown field") => "key",
        _ if message.starts_with("unknown variant") => "choice",
        _ => return None,
    };
    let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
    let key = quoted.next()?;
    Some((what, key, quoted.collect()))
}

/// Where `word` is a key, or the value of one, in the part of the text that the parser points at.
fn place_of(text: &str, word: &str, within: &Range<usize>) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut places = Vec::new();
    collect(table.get_ref(), word, &mut places);
    let inside = places.iter().copied().find(|place| within.contains(place));
    inside.or_else(|| places.first().copied())
}

fn collect(table: &DeTable<'_>, word: &str, places: &mut Vec<usize>) {
    for (key, value) in table {
        if key.get_ref() == word {
            places.push(key.span().start);
        }
        collect_in(value, word, places);
    }
}

fn collect_in(value: &Spanned<DeValue<'_>>, word: &str, places: &mut Vec<usize>) {
    match value.get_ref() {
        DeValue::Table(table) => collect(table, word, places),
        DeValue::Array(values) => values.iter().for_each(|value| collect_in(value, word, places)),
        DeValue::String(text) if text == word => places.push(value.span().start),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn position(text: &str, offset: usize) -> Position {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}
