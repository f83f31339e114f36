//! Stone's JSON: unions, times, and what the values of a union are called together.

use schemars::{Schema, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// `2026-11-22T10:00:00Z`: fractions make clients fail.
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A member of a union, as clients send it: its name alone, or an object that is tagged with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Union {
    /// A member without a value.
    Name(String),
    /// A member with its value, nested or flattened.
    Object {
        /// Its name.
        #[serde(rename = ".tag")]
        tag: String,
        /// What stands beside it.
        #[serde(flatten)]
        fields: Map<String, Value>,
    },
}

impl Union {
    /// The member's name.
    pub(crate) fn tag(&self) -> &str {
        match self {
            Self::Name(tag) | Self::Object { tag, .. } => tag,
        }
    }

    /// A text beside the tag.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Object { fields, .. } => fields.get(field)?.as_str(),
        }
    }
}

/// How a union may be sent whose members have no values.
pub(crate) fn one_of(names: &[&str]) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "string", "enum": names },
        { "type": "object", "properties": { ".tag": { "type": "string", "enum": names } }, "required": [".tag"] },
        { "type": "null" },
    ] })
}

/// A union's member without a value.
pub(crate) fn tag(name: &str) -> Value {
    json!({ ".tag": name })
}

/// A union's member with a value that is no plain struct.
pub(crate) fn nested(name: &str, value: Value) -> Value {
    json!({ ".tag": name, name: value })
}

/// The tags of an error, one within the other, as `path/not_found/..`.
pub(crate) fn summary(error: &Value) -> String {
    let mut text = String::new();
    let mut at = Some(error);
    while let Some(value) = at {
        let Some(tag) = value.get(".tag").and_then(Value::as_str) else {
            break;
        };
        text.push_str(tag);
        text.push('/');
        at = value.get(tag).or_else(|| value.get("reason"));
    }
    text.push_str("..");
    text
}

/// What an instant looks like.
pub(crate) const TIME_PATTERN: &str =
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$";

/// An instant in seconds since 1970; at the ends of the calendar what is nearest.
pub(crate) fn time(seconds: i64) -> String {
    let seconds = seconds.clamp(-62_135_596_800, 253_402_300_799);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(TIME).unwrap_or_default()
}

/// Reads an instant; `None` when it is none.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let time = time::PrimitiveDateTime::parse(text, TIME).ok()?;
    Some(time.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_back_and_never_fail() {
        assert_eq!(time(1_795_305_600), "2026-11-22T00:00:00Z");
        assert_eq!(parse_time("2026-11-22T00:00:00Z"), Some(1_795_305_600));
        assert_eq!(time(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(time(i64::MIN), "0001-01-01T00:00:00Z");
        for wrong in ["", "2026-11-22", "2026-11-22T00:00:00.5Z", "2026-13-22T00:00:00Z"] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn members_come_in_two_forms() {
        let name: Union = serde_json::from_str(r#""add""#).unwrap();
        let object: Union = serde_json::from_str(r#"{".tag": "update", "update": "0123"}"#).unwrap();
        assert_eq!((name.tag(), name.text("update")), ("add", None));
        assert_eq!((object.tag(), object.text("update")), ("update", Some("0123")));
        assert!(serde_json::from_str::<Union>(r#"{"update": "0123"}"#).is_err());
    }

    #[test]
    fn summaries_go_down_the_tags() {
        let conflict = nested("conflict", tag("file"));
        assert_eq!(
            summary(&nested("path", conflict.clone())),
            "path/conflict/file/.."
        );
        let flattened = json!({ ".tag": "path", "reason": conflict, "upload_session_id": "x" });
        assert_eq!(summary(&flattened), "path/conflict/file/..");
        assert_eq!(summary(&json!({})), "..");
    }
}
