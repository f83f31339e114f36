//! Cuts texts and queries into words.
//!
//! A word is a run of letters and digits. Where a script puts no spaces between words each letter is one, so that a query in it,
//! which is looked for as a phrase, finds any part of a text.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::char::is_combining_mark;

/// Bytes of the longest word that can be found: what is longer is no word.
const WORD_BYTES: usize = 64;

/// The tokenizer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Words;

/// The words of one text, in lower case.
pub(super) struct WordStream<'a> {
    text: &'a str,
    at: usize,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream {
            text,
            at: 0,
            token: Token::default(),
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        loop {
            let rest = &self.text[self.at..];
            let Some((skipped, first)) = rest.char_indices().find(|(_, letter)| is_letter(*letter)) else {
                return false;
            };
            let word = &rest[skipped..];
            let len = match stands_alone(first) {
                true => first.len_utf8(),
                false => word
                    .find(|letter| !is_letter(letter) || stands_alone(letter))
                    .unwrap_or(word.len()),
            };
            let from = self.at + skipped;
            self.at = from + len;
            // What is left out has its position: the words around it do not become neighbours.
            self.token.position = self.token.position.wrapping_add(1);
            if len <= WORD_BYTES {
                self.token.offset_from = from;
                self.token.offset_to = self.at;
                self.token.text = word[..len].to_lowercase();
                return true;
            }
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || is_combining_mark(letter)
}

/// Letters of scripts without spaces between words, and those of Korean, whose words carry particles.
fn stands_alone(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0e00..=0x0eff // Thai, Lao
        | 0x1000..=0x109f // Burmese
        | 0x1780..=0x17ff // Khmer
        | 0x3040..=0x30ff // Hiragana, Katakana
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff // Han
        | 0xac00..=0xd7af // Hangul
    )
}

/// The words of a text.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    Words
        .token_stream(text)
        .process(&mut |token| words.push(token.text.clone()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(of("Don't panic_2, ÄRGER!"), ["don", "t", "panic", "2", "ärger"]);
        assert_eq!(of("हिन्दी"), ["हिन्दी"]);
        assert_eq!(of("東京abc 한글"), ["東", "京", "abc", "한", "글"]);
        assert_eq!(of(&format!("a {} b", "x".repeat(WORD_BYTES + 1))), ["a", "b"]);
        assert!(of(" -- \u{1F600}").is_empty());
    }
}
