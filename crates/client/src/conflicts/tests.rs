//! Texts: what is one, and what two of them are together.

use super::text::{as_text, is_mergeable, merge};
use super::{TEXT_BYTES, unified};

const BASE: &str = "a\nb\nc\nd\ne\n";

#[test]
fn edits_of_different_lines_are_merged_and_of_the_same_marked() {
    assert_eq!(
        merge(BASE, "A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n").as_deref(),
        Ok("A\nb\nc\nd\nE\n")
    );
    assert_eq!(merge(BASE, BASE, "").as_deref(), Ok(""));
    assert_eq!(merge("", "x\n", "x\n").as_deref(), Ok("x\n"));
    let marked = merge(BASE, "a\nb\n1\nd\ne\n", "a\nb\n2\nd\ne\n").unwrap_err();
    assert!(marked.contains("<<<<<<<") && marked.contains("\n1\n") && marked.contains("\n2\n"));
}

#[test]
fn text_is_utf_8_without_a_zero_byte_and_not_too_long() {
    assert_eq!(as_text("é\r\n".into()).as_deref(), Some("é\r\n"));
    assert_eq!(as_text(vec![b'a', 0]), None);
    assert_eq!(as_text(vec![0xff]), None);
    assert_eq!(as_text(vec![b'a'; TEXT_BYTES as usize + 1]), None);
}

#[test]
fn a_diff_names_both_sides() {
    let diff = unified(("theirs.txt", "a\nb\n"), ("mine.txt", "a\nc\n"));
    assert!(diff.starts_with("--- theirs.txt\n+++ mine.txt\n"), "{diff}");
    assert!(diff.contains("-b\n+c\n"), "{diff}");
}

#[test]
fn a_diff_of_long_texts_that_have_little_in_common_ends() {
    let count = 150_000;
    let theirs: String = (0..count).map(|line| format!("line {line}\n")).collect();
    let mine: String = (0..count).rev().map(|line| format!("line {line}\n")).collect();
    let diff = unified(("theirs.txt", &theirs), ("mine.txt", &mine));
    let lines = |sign| diff.lines().filter(|line| line.starts_with(sign)).count();
    // Each of the lines but the shared ones, and the header.
    assert!(lines('-') > count / 2 && lines('-') == lines('+'));
}

#[test]
fn texts_that_differ_in_too_many_lines_are_not_merged() {
    let text = |count: usize, prefix: &str| {
        let lines = (0..count).map(|line| format!("{prefix}{line}\n"));
        lines.collect::<String>()
    };
    let long = text(200_000, "same ");
    let with = |middle: &str| format!("{long}{middle}{long}");
    let few = with(&text(10_000, "few "));
    assert!(is_mergeable(&long, &long, &long));
    assert!(is_mergeable(&with(""), &few, &few));
    assert!(is_mergeable(&few, &with("x\n"), &with("")));
    assert!(is_mergeable("", "no end", "another end"));
    let many = with(&text(10_001, "many "));
    for (theirs, mine) in [(&many, &few), (&few, &many)] {
        assert!(!is_mergeable(&with(""), theirs, mine));
        assert!(!is_mergeable(&many, &few, mine));
    }
    // Few lines may be far from one another.
    let spread = format!("first\n{}last\n", text(10_000, "same "));
    assert!(!is_mergeable(&spread, &text(10_000, "same "), &spread));
}
