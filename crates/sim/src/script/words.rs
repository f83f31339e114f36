//! The words of a line, and the macro that makes of a list of verbs an enum that reads and writes itself.

use std::iter::Peekable;
use std::str::FromStr;

/// The words of one line. A quoted word may hold blanks and is written as Rust writes text.
pub(super) struct Words<'a> {
    words: Peekable<std::vec::IntoIter<&'a str>>,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let end = if rest.starts_with('"') {
                end_of_quoted(rest).ok_or("a quoted word has no end")?
            } else {
                rest.find(char::is_whitespace).unwrap_or(rest.len())
            };
            let (word, after) = rest.split_at(end);
            words.push(word);
            rest = after.trim_start();
        }
        Ok(Self {
            words: words.into_iter().peekable(),
        })
    }

    pub(super) fn word(&mut self) -> Result<&'a str, String> {
        self.words.next().ok_or_else(|| "a word is missing".to_owned())
    }

    pub(super) fn peek(&mut self) -> Option<&'a str> {
        self.words.peek().copied()
    }

    pub(super) fn end(&mut self) -> Result<(), String> {
        match self.words.next() {
            Some(word) => Err(format!("`{word}` is too much")),
            None => Ok(()),
        }
    }
}

/// The length of the quoted word with which `text` begins.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Reads what Rust's `{:?}` wrote.
fn unquoted(word: &str) -> Option<String> {
    let inner = word.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        text.push(match characters.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits: String = characters
                    .by_ref()
                    .skip(1)
                    .take_while(|digit| *digit != '}')
                    .collect();
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            other => other,
        });
    }
    Some(text)
}

/// A value that is one word.
pub(super) trait Word: Sized {
    fn show(&self) -> String;
    fn read(word: &str) -> Option<Self>;

    fn next(words: &mut Words<'_>) -> Result<Self, String> {
        let word = words.word()?;
        Self::read(word).ok_or_else(|| format!("`{word}` is out of place"))
    }
}

macro_rules! plain_words {
    ($($number:ty),*) => { $(
        impl Word for $number {
            fn show(&self) -> String {
                self.to_string()
            }
            fn read(word: &str) -> Option<Self> {
                Self::from_str(word).ok()
            }
        }
    )* };
}

plain_words!(u64, i64, usize, bool);

/// The name of something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub String);

impl Word for Name {
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn read(word: &str) -> Option<Self> {
        unquoted(word).map(Self)
    }
}

/// Something that is there: by its number among all of its kind on the disk at that moment, or by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ref {
    /// The n-th in the order of paths, counted around; among folders the root is number 0.
    Nth(u64),
    /// The one at this path; the root is the empty one.
    Path(String),
}

impl Word for Ref {
    fn show(&self) -> String {
        match self {
            Self::Nth(number) => format!("#{number}"),
            Self::Path(path) => format!("{path:?}"),
        }
    }
    fn read(word: &str) -> Option<Self> {
        match word.strip_prefix('#') {
            Some(number) => number.parse().ok().map(Self::Nth),
            None => unquoted(word).map(Self::Path),
        }
    }
}

/// Makes an enum of verbs and their arguments, each with the word that stands for it in a script.
macro_rules! verbs {
    (
        $(#[$about:meta])* $enum:ident
        $( $(#[$doc:meta])* $variant:ident $word:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* } )*
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $enum {
            $( $(#[$doc])* $variant { $( $(#[$field_doc])* $field: $type, )* }, )*
        }

        impl $enum {
            /// The word for it.
            pub const fn word(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $word, )* }
            }

            pub(super) fn read(words: &mut $crate::script::words::Words<'_>) -> Result<Self, String> {
                match words.word()? {
                    $( $word => Ok(Self::$variant {
                        $( $field: <$type as $crate::script::words::Word>::next(words)?, )*
                    }), )*
                    other => Err(format!("`{other}` is no verb")),
                }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())?;
                match self {
                    $( Self::$variant { $( $field, )* } => {
                        $( write!(f, " {}", $crate::script::words::Word::show($field))?; )*
                    } )*
                }
                Ok(())
            }
        }
    };
}

pub(super) use verbs;
