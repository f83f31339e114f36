//! Passwords: from a file, from a terminal, or drawn.

use std::path::Path;

use cairn_core::runtime::Entropy;

use crate::App;
use crate::error::{CliError, CliResult};

/// Letters of a drawn password: none that look alike. 32 of them, so that each is five bits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Groups of four letters: 100 bits.
const GROUPS: usize = 5;

/// Reads the first line of a file.
pub(crate) fn from_file(path: &Path) -> CliResult<String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| CliError::io("read the password file", path, error))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(
            CliError::failed(format!("the password file {} is empty", path.display()))
                .next("write the password on its first line"),
        ),
    }
}

/// Reads a file when one is given, else asks on the terminal.
pub(crate) fn obtain(app: &App, file: Option<&Path>, question: &str) -> CliResult<String> {
    if let Some(path) = file {
        return from_file(path);
    }
    if !app.ui.is_interactive {
        return Err(
            CliError::usage("there is no terminal to ask for the password on").next("use --password-file")
        );
    }
    rpassword::prompt_password(format!("{question}: "))
        .map_err(|error| CliError::failed("the password cannot be read").because(error))
}

/// As [`obtain`], for a new password: asked twice, so that it is known.
pub(crate) fn obtain_new(app: &App, file: Option<&Path>) -> CliResult<String> {
    let first = obtain(app, file, "New password")?;
    if file.is_none() && obtain(app, None, "The same again")? != first {
        return Err(CliError::failed("the two passwords are not the same").next("run the command again"));
    }
    Ok(first)
}

/// Draws a password that can be copied by hand.
pub(crate) fn draw(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; GROUPS * 4];
    entropy.fill(&mut bytes);
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| LETTERS[usize::from(byte % 32)] as char)
        .collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_passwords_are_long_and_differ() {
        let runtime = crate::runtime::system();
        let password = draw(runtime.entropy.as_ref());
        assert_eq!(password.len(), 24);
        assert_ne!(password, draw(runtime.entropy.as_ref()));
    }

    #[test]
    fn a_password_file_has_it_on_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "correct horse\nrest\n").unwrap();
        assert_eq!(from_file(&path).unwrap(), "correct horse");
        std::fs::write(&path, "\n").unwrap();
        assert!(from_file(&path).is_err());
    }
}
