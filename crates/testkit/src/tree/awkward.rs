//! Names that break programs.

/// Leads a name by what trips a program up; `#` is where a number goes that makes each name another.
const PATTERNS: &[&str] = &[
    "🦀 crab #",
    "👩‍👩‍👧‍👦 family #.txt",
    "🇨🇭 flag #",
    "e\u{301}te\u{301} in pieces #",
    "déjà composé #",
    "\u{1112}\u{1161}\u{11ab} jamo #",
    "한글 syllables #",
    "שלום #.txt",
    "مرحبا \u{202e}reversed #",
    "\u{200b}zero width #",
    "\u{feff}mark #",
    "日本語 #.txt",
    "ßtraße İstanbul ı #",
    "Ωmega Ω ohm K kelvin #",
    ".hidden #",
    "..two dots #",
    "... #",
    " leading space #",
    "trailing space # ",
    "trailing dot #.",
    "  #  ",
    "new\nline #",
    "\n#",
    "carriage\rreturn #",
    "tab\t#",
    "bell\u{7} #",
    "escape\u{1b}[31m #",
    "delete\u{7f} #",
    "back\\slash #",
    "C:\\drive #",
    "colon: #",
    "star* #",
    "what? #",
    "<angle> #",
    "pipe| #",
    "\"quoted\" #",
    "'single' #",
    "`tick` $(cmd) #",
    "$HOME #",
    "%2e%2e%2f #",
    "%s%n #",
    "-rf #",
    "--help #",
    "~ #",
    "~user #",
    "# hash ##",
    "; rm #",
    "& and && #",
    "!bang #",
    "{brace,d} #",
    "[bracket] #",
    "a=b&c=d #",
    "plus+plus #",
    "comma, semi; #",
    "@at #",
    "CON.#",
    "aux.#.txt",
    "NUL #",
    "com1.#",
    "LPT9 #.",
    "desktop.ini.#",
    "name (conflict, ada, 2024-01-01) #.txt",
    ".cairn #",
    ".cairnignore #",
    "no extension #",
    "many.dots.in.a.name.#.tar.gz",
    "\u{fffd} replacement #",
    "\u{10ffff} last #",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} tags #",
    "ﬁ ligature ＡＢＣ wide #",
];

/// Bytes of the longest name that Linux holds.
const NAME_BYTES: usize = 255;

/// `count` names that differ by more than case and normalisation; every tenth is 255 bytes long.
pub fn awkward_names(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| {
            let pattern = PATTERNS[index % PATTERNS.len()];
            let name = pattern.replacen('#', &format!("{index}"), 1);
            if index % 10 == 3 {
                lengthened(name, index)
            } else {
                name
            }
        })
        .collect()
}

/// The name with something put in front until it has 255 bytes.
fn lengthened(name: String, index: usize) -> String {
    let filler = ["x", "é", "語", "🦀"][index / 10 % 4];
    let room = NAME_BYTES - name.len();
    let ascii = "y".repeat(room % filler.len());
    format!("{}{ascii}{name}", filler.repeat(room / filler.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cairn_core::name::NodeName;

    use super::*;

    #[test]
    fn a_thousand_names_are_legal_and_apart() {
        let names = awkward_names(1_000);
        let keys: HashSet<String> = names
            .iter()
            .map(|name| NodeName::new(name.as_str()).unwrap().key().as_str().to_owned())
            .collect();
        assert_eq!(keys.len(), names.len());
        assert!(names.iter().all(|name| name.len() <= NAME_BYTES));
        assert_eq!(names.iter().filter(|name| name.len() == NAME_BYTES).count(), 100);
    }
}
