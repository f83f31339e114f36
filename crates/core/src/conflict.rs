//! The names of conflicted copies: how they are made, and how they are known again on any device.
//!
//! `plan.txt` becomes `plan (conflict, DEVICE, 2026-11-22).txt`, numbered where that is taken; where two names differ in
//! case only, `plan (case conflict).txt`. A copy of a copy is named for what the first was a copy of: a name holds one suffix,
//! however often a file is fought over.

use crate::name::NodeName;
use crate::time::Date;

/// What the suffix of every conflicted copy but those of case begins with.
pub const MARK: &str = " (conflict, ";
/// What the suffix of a copy begins with whose name differs in case only.
pub const CASE_MARK: &str = " (case conflict";

/// What goes into the brackets of a conflicted copy's name; `device` is shortened and made printable.
pub fn label(device: &str, date: Date) -> String {
    let device: String = device
        .chars()
        .filter(|c| !matches!(c, '/' | '\0'))
        .take(40)
        .collect();
    format!("conflict, {device}, {date}")
}

/// The name that a copy of `name` is made from: `name` itself, and where that is a conflicted copy, what it is a copy of.
/// A name that differs from another in case only is one of its own.
pub fn original(name: &NodeName) -> NodeName {
    let mut original = name.clone();
    let mut inner = copy_name(name);
    while let Some(copy) = inner {
        let Ok(shorter) = NodeName::new(&copy.original) else {
            break;
        };
        inner = copy_name(&shorter);
        if copy.device.is_some() {
            original = shorter;
        }
    }
    original
}

/// A conflicted copy as its name tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyName {
    /// The name that it is a copy of; only the beginning of it when it was too long for both.
    pub original: String,
    /// The device that made it; `None` where names differ in case only.
    pub device: Option<String>,
    /// The day on which it was made, as `2026-11-22`.
    pub date: Option<String>,
}

/// Reads the name of a conflicted copy; `None` for any other. Of a copy of a copy it takes off the last suffix.
pub fn copy_name(name: &NodeName) -> Option<CopyName> {
    let text = name.as_str();
    let (stem, extension) = match text.rfind('.') {
        Some(dot) if dot > 0 && text.len() - dot <= 16 && !text[dot..].contains(')') => text.split_at(dot),
        _ => (text, ""),
    };
    let stem = without_number(stem);
    let inside = stem.strip_suffix(')')?;
    // Somebody may have respelled it. Lowering ASCII letters moves no byte.
    let lower = inside.to_ascii_lowercase();
    let start = lower.rfind(MARK).max(lower.rfind(CASE_MARK))?;
    let (before, label) = (&inside[..start], &lower[start + 2..]);
    let original = format!("{before}{extension}");
    let is_case = label
        .strip_prefix("case conflict")
        .is_some_and(|rest| rest.is_empty() || is_number(rest));
    if is_case {
        return Some(CopyName {
            original,
            device: None,
            date: None,
        });
    }
    label.strip_prefix("conflict, ")?;
    let (device, date) = inside[start + MARK.len()..].rsplit_once(", ")?;
    let (date, number) = date.split_at_checked(10)?;
    if !is_date(date) || !(number.is_empty() || is_number(number)) {
        return None;
    }
    Some(CopyName {
        original,
        device: Some(device.to_owned()),
        date: Some(date.to_owned()),
    })
}

/// Takes ` (2)` off the end.
fn without_number(stem: &str) -> &str {
    let number = |stem: &str| {
        let (before, inside) = stem.strip_suffix(')')?.rsplit_once(" (")?;
        let is_number = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(before.len())
    };
    number(stem).map_or(stem, |end| &stem[..end])
}

/// Whether it is a space and digits.
fn is_number(text: &str) -> bool {
    text.strip_prefix(' ')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn read(text: &str) -> Option<(String, Option<String>)> {
        let name = NodeName::new(text).unwrap();
        copy_name(&name).map(|copy| (copy.original, copy.device))
    }

    #[test]
    fn copies_are_known_again_by_their_names() {
        let day = Date::of(Timestamp::from_millis(1_795_305_600_000));
        let label = label("ada's lap/top", day);
        for (original, number) in [
            ("plan.txt", ""),
            ("plan.txt", " 2"),
            ("plan (2).txt", ""),
            (".profile", ""),
            ("a. b", ""),
            ("tar.gz", ""),
        ] {
            let name = NodeName::new(original).unwrap();
            let copy = name.with_suffix(&format!(" ({label}{number})"));
            let expected = Some((original.to_owned(), Some("ada's laptop".to_owned())));
            assert_eq!(read(copy.as_str()), expected);
            let numbered = copy.with_suffix(" (3)");
            assert_eq!(read(numbered.as_str()), expected, "{numbered}");
            let twice = copy.with_suffix(&format!(" ({label})"));
            assert_eq!(read(twice.as_str()).unwrap().0, copy.as_str());
        }
        let found = copy_name(&NodeName::new("x (conflict, a, b, 2026-11-22)").unwrap()).unwrap();
        assert_eq!(
            (found.device.as_deref(), found.date.as_deref()),
            (Some("a, b"), Some("2026-11-22"))
        );
        let odd = read("x (conflict, my (old) laptop, 2026-11-22).c");
        assert_eq!(odd, Some(("x.c".to_owned(), Some("my (old) laptop".to_owned()))));
        assert_eq!(read("X (case conflict).md"), Some(("X.md".to_owned(), None)));
        assert_eq!(read("X (case conflict 7).md"), Some(("X.md".to_owned(), None)));
    }

    #[test]
    fn a_copy_of_a_copy_is_one_of_the_original() {
        for (name, expected) in [
            ("plan.txt", "plan.txt"),
            ("plan (2).txt", "plan (2).txt"),
            ("plan (conflict).txt", "plan (conflict).txt"),
            ("plan (conflict, a, 2026-11-22).txt", "plan.txt"),
            ("plan (conflict, a, 2026-11-22 3).txt", "plan.txt"),
            (
                "plan (conflict, a, 2026-11-22 3) (conflict, b, 2026-11-23) (2) (conflict, a, 2026-11-24).txt",
                "plan.txt",
            ),
            ("PLAN (CONFLICT, A, 2026-11-22).TXT", "PLAN.TXT"),
            ("plan (case conflict).txt", "plan (case conflict).txt"),
            (
                "plan (case conflict) (conflict, a, 2026-11-22).txt",
                "plan (case conflict).txt",
            ),
            ("plan (conflict, a, 2026-11-22) (case conflict 3).txt", "plan.txt"),
            (" (conflict, a, 2026-11-22)", " (conflict, a, 2026-11-22)"),
        ] {
            assert_eq!(original(&NodeName::new(name).unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn plain_names_are_no_copies() {
        for plain in [
            "plan.txt",
            "plan (2).txt",
            "plan (conflict).txt",
            "plan (conflict, ada).txt",
            "plan (conflict, ada, yesterday!).txt",
            "plan (conflict, ada, 2026-11-22x).txt",
            "plan (conflict, ada, 2026-11-22",
            "plan (case conflicts).txt",
            "(conflict, ada, 2026-11-22).txt",
            ")",
            " (",
        ] {
            assert_eq!(read(plain), None, "{plain}");
        }
    }
}
