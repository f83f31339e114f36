//! Secrets are compared in a time that does not tell how far they agree.
//!
//! No test can see that: the times differ by nanoseconds. So the functions that compare are known by name, and must do it by
//! [`ct_eq`](https://docs.rs/subtle). Who moves one or adds one changes the list.

use super::Source;

/// How it is done.
const CONSTANT: &str = ".ct_eq(";

/// A function that compares what somebody shows with a secret, or with what is made of one.
struct Place {
    path: &'static str,
    function: &'static str,
    what: &'static str,
}

const PLACES: &[Place] = &[
    Place {
        path: "crates/server/src/service/accounts/apps.rs",
        function: "proves",
        what: "the secret of an app",
    },
    Place {
        path: "crates/server/src/service/accounts/grants.rs",
        function: "meets",
        what: "a verifier and its challenge",
    },
    Place {
        path: "crates/server/src/cookies.rs",
        function: "sent",
        what: "the token of a form",
    },
    Place {
        path: "crates/server/src/public/sealed.rs",
        function: "prove",
        what: "the signature of a cursor or link",
    },
    Place {
        path: "crates/server/src/auth/totp.rs",
        function: "step_with",
        what: "a code of an authenticator",
    },
];

/// Checks the functions of the list.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    PLACES.iter().filter_map(|place| place.check(sources)).collect()
}

impl Place {
    fn check(&self, sources: &[Source]) -> Option<String> {
        let Self { path, function, what } = self;
        let source = sources.iter().find(|source| source.path.ends_with(path));
        let found = source.and_then(|source| Some((source, body(&source.text, function)?)));
        let Some((source, (line, body))) = found else {
            return Some(format!(
                "{path}:1: there is no `{function}`, which compares {what}"
            ));
        };
        let complaint = format!(
            "`{function}` compares {what}: by `{CONSTANT}..)` alone, of which the time tells nothing"
        );
        let is_constant = body.contains(CONSTANT) && !body.contains(" == ") && !body.contains(" != ");
        (!is_constant).then(|| source.finding(line, &complaint))
    }
}

/// A function's lines and the number of its first, up to the brace at its own depth.
fn body<'t>(text: &'t str, function: &str) -> Option<(usize, &'t str)> {
    let start = text
        .find(&format!("fn {function}("))
        .or_else(|| text.find(&format!("fn {function}<")))?;
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let depth = text[begin..].len() - text[begin..].trim_start_matches(' ').len();
    let end = format!("\n{}}}\n", " ".repeat(depth));
    let len = text[begin..].find(&end)?;
    Some((text[..begin].lines().count() + 1, &text[begin..begin + len]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        path: "crates/a/src/b.rs",
        function: "proves",
        what: "a secret",
    };

    fn finding(text: &str) -> Option<String> {
        let source = Source {
            path: "crates/a/src/b.rs".into(),
            text: text.to_owned(),
        };
        PLACE.check(&[source])
    }

    #[test]
    fn a_secret_that_is_compared_in_constant_time_is_fine() {
        let text = "impl A {\n    fn proves(&self) -> bool {\n        a.ct_eq(b).into()\n    }\n\n    fn is(&self) -> bool {\n        \
                    a == b\n    }\n}\n";
        assert_eq!(finding(text), None);
    }

    #[test]
    fn a_secret_that_is_compared_plainly_is_found() {
        for compared in ["a == b", "a != b && c.ct_eq(d).into()", "a.eq(b)"] {
            let text = format!(
                "fn other() {{\n}}\n\nfn proves(a: &A) -> bool {{\n    {compared}\n}}\n\n// .ct_eq(\n"
            );
            let found = finding(&text).unwrap_or_default();
            assert!(
                found.starts_with("crates/a/src/b.rs:4: `proves` compares a secret"),
                "{compared}: {found}"
            );
        }
    }

    #[test]
    fn a_comparison_that_has_moved_is_found() {
        assert!(finding("fn disproves() {\n}\n").is_some());
        assert!(PLACE.check(&[]).is_some());
    }
}
