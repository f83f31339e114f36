//! Office documents: archives of XML.

use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

use crate::Text;

/// Bytes of XML that are read of one document, unpacked: what a bomb can make us do.
const UNPACKED_BYTES: u64 = 64 << 20;
/// Parts that are looked at.
const MOST_PARTS: usize = 10_000;
/// Elements within each other; no program nests as many.
const DEPTH: usize = 1_000;

/// Where a kind of document has its text.
struct Kind {
    /// A part that no other kind has.
    mark: &'static str,
    /// What the parts with text begin with, in the order in which they are read.
    parts: &'static [&'static str],
    /// Elements that hold text; none: all do.
    holders: &'static [&'static str],
    /// Elements at whose ends words end.
    blocks: &'static [&'static str],
}

const KINDS: [Kind; 4] = [
    Kind {
        mark: "word/document.xml",
        parts: &[
            "word/document.xml",
            "word/header",
            "word/foot",
            "word/endnotes.xml",
            "word/comments.xml",
        ],
        holders: &["t"],
        blocks: &["p", "tab", "br"],
    },
    Kind {
        mark: "xl/workbook.xml",
        parts: &["xl/sharedStrings.xml", "xl/worksheets/", "xl/comments"],
        // Numbers are values. So are the indexes of shared strings, which find nothing that somebody looks for.
        holders: &["t", "v"],
        blocks: &["si", "is", "v", "t"],
    },
    Kind {
        mark: "ppt/presentation.xml",
        parts: &["ppt/slides/slide", "ppt/notesSlides/"],
        holders: &["t"],
        blocks: &["p", "br", "tab"],
    },
    Kind {
        mark: "content.xml",
        parts: &["content.xml"],
        holders: &[],
        blocks: &["p", "h", "s", "tab", "line-break"],
    },
];

/// Reads as much as there is.
pub(crate) fn read(document: &[u8], text: &mut Text) {
    read_within(document, text, UNPACKED_BYTES);
}

fn read_within(document: &[u8], text: &mut Text, unpacked_bytes: u64) {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(document)) else {
        return;
    };
    let names: Vec<(usize, String)> = (0..archive.len().min(MOST_PARTS))
        .filter_map(|index| Some((index, archive.name_for_index(index)?.ok()?.into_owned())))
        .collect();
    let is_of = |kind: &&Kind| names.iter().any(|(_, name)| name == kind.mark);
    let Some(kind) = KINDS.iter().find(is_of) else {
        return;
    };
    let mut left = unpacked_bytes;
    for part in kind.parts {
        let mut parts: Vec<&(usize, String)> = names
            .iter()
            .filter(|(_, name)| name.starts_with(part) && name.ends_with(".xml"))
            .collect();
        // The tenth slide comes after the ninth.
        parts.sort_by_key(|(_, name)| (name.len(), name));
        for (index, _) in parts {
            let Ok(entry) = archive.by_index(*index) else {
                continue;
            };
            let mut bytes = entry.take(left);
            let has_room = read_part(&mut bytes, kind, text);
            left = bytes.limit();
            if left == 0 || !has_room || !text.end_word() {
                return;
            }
        }
    }
}

/// Reads one part as far as it is XML; false when there is no room for more.
fn read_part(part: &mut impl Read, kind: &Kind, text: &mut Text) -> bool {
    let mut reader = Reader::from_reader(BufReader::new(part));
    reader.config_mut().check_end_names = false;
    let mut buffer = Vec::new();
    let (mut depth, mut holding) = (0_usize, 0_usize);
    loop {
        buffer.clear();
        let has_room = match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(element)) => {
                depth += 1;
                holding += usize::from(is_one_of(element.local_name().as_ref(), kind.holders));
                depth < DEPTH
            }
            Ok(Event::End(element)) => {
                depth = depth.saturating_sub(1);
                let name = element.local_name();
                holding = holding.saturating_sub(usize::from(is_one_of(name.as_ref(), kind.holders)));
                !is_one_of(name.as_ref(), kind.blocks) || text.end_word()
            }
            Ok(Event::Empty(element)) => {
                !is_one_of(element.local_name().as_ref(), kind.blocks) || text.end_word()
            }
            Ok(Event::Text(part)) if holding > 0 || kind.holders.is_empty() => {
                text.push(&part.xml10_content())
            }
            Ok(Event::CData(part)) if holding > 0 || kind.holders.is_empty() => {
                text.push(&part.xml10_content())
            }
            Ok(Event::GeneralRef(reference)) if holding > 0 || kind.holders.is_empty() => {
                let mut letter = [0; 4];
                match reference.resolve_char_ref() {
                    Ok(Some(character)) => text.push(character.encode_utf8(&mut letter)),
                    // What a document defines itself stands for nothing: it could stand for gigabytes.
                    _ => text.push(predefined(&reference)),
                }
            }
            Ok(Event::Eof) | Err(_) => return true,
            Ok(_) => true,
        };
        if !has_room {
            return false;
        }
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&name)
}

fn predefined(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => " ",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::text_of;

    fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn words(document: &[u8]) -> Vec<String> {
        let text = text_of(document, 1_000).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn text_documents_are_read() {
        let body = "<?xml version='1.0'?><w:document><w:body><w:p><w:r><w:t>On</w:t></w:r><w:r><w:t>e &amp; tw&#111;</w:t>\
            </w:r></w:p><w:p><w:instrText>NOT</w:instrText><w:t>three</w:t><w:tab/><w:t>four</w:t></w:p></w:body></w:document>";
        let document = archive(&[
            ("[Content_Types].xml", "<Types/>"),
            ("word/document.xml", body),
            ("word/footnotes.xml", "<w:footnotes><w:t>note</w:t></w:footnotes>"),
            ("word/settings.xml", "<w:t>setting</w:t>"),
        ]);
        assert_eq!(words(&document), ["One", "&", "two", "three", "four", "note"]);
        let body = "<office:text><text:h>Title</text:h><text:p>o<text:span>n</text:span>e<text:s/>two</text:p></office:text>";
        let document = archive(&[
            ("mimetype", "application/vnd.oasis.opendocument.text"),
            ("content.xml", body),
        ]);
        assert_eq!(words(&document), ["Title", "one", "two"]);
    }

    #[test]
    fn tables_and_slides_are_read() {
        let document = archive(&[
            ("xl/workbook.xml", "<workbook/>"),
            (
                "xl/worksheets/sheet1.xml",
                "<c><v>42</v></c><c><is><t>inline</t></is></c>",
            ),
            (
                "xl/sharedStrings.xml",
                "<sst><si><t>one</t></si><si><r><t>two</t></r></si></sst>",
            ),
        ]);
        assert_eq!(words(&document), ["one", "two", "42", "inline"]);
        let document = archive(&[
            ("ppt/presentation.xml", "<p/>"),
            ("ppt/slides/slide10.xml", "<a:p><a:t>last</a:t></a:p>"),
            ("ppt/slides/slide2.xml", "<a:p><a:t>first</a:t></a:p>"),
        ]);
        assert_eq!(words(&document), ["first", "last"]);
        assert_eq!(
            text_of(&archive(&[("a.txt", "text")]), 100),
            None,
            "an archive is no document"
        );
    }

    #[test]
    fn what_is_meant_to_harm_costs_little() {
        // A bomb: what comes behind the bound is not seen.
        let filler = "<w:x/>".repeat(100_000);
        let bomb = format!("<w:t>seen</w:t>{filler}<w:t>unseen</w:t>");
        let document = archive(&[("word/document.xml", &bomb), ("word/footer.xml", &bomb)]);
        assert!(document.len() < 10_000);
        for (bound, expected) in [(600_000, "seen"), (700_000, "seenunseen seen"), (0, "")] {
            let mut text = Text::new(1_000);
            read_within(&document, &mut text, bound);
            assert_eq!(text.text, expected);
        }
        let long = format!("<w:t>{}</w:t>", "long ".repeat(1 << 20));
        let document = archive(&[("word/document.xml", &long), ("word/footer.xml", &long)]);
        assert_eq!(text_of(&document, 10_000).unwrap().len(), 10_000);
        // Deep, with entities of its own, broken.
        let deep = format!("<w:t>seen</w:t>{}", "<w:a>".repeat(1 << 20));
        assert_eq!(words(&archive(&[("word/document.xml", &deep)])), ["seen"]);
        let laughs = "<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><w:t>&b; end</w:t>";
        assert_eq!(words(&archive(&[("word/document.xml", laughs)])), ["end"]);
        assert_eq!(
            words(&archive(&[("word/document.xml", "<w:t>half</w:t><w:t a=<><")])),
            ["half"]
        );
        let whole = archive(&[("word/document.xml", "<w:t>whole</w:t>")]);
        for cut in 0..whole.len() {
            assert_eq!(text_of(&whole[..cut], 100), None);
        }
    }
}
