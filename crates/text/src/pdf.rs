//! PDF.

use std::fmt;

use pdf_extract::{ConvertToFmt, Document, PlainTextOutput};

use crate::Text;

/// Reads as much as there is, page by page. Of a document with a password there is nothing.
pub(crate) fn read(document: &[u8], text: &mut Text) {
    let Ok(mut document) = Document::load_mem(document) else {
        return;
    };
    if document.is_encrypted() && document.decrypt("").is_err() {
        return;
    }
    // It ends with an error when the text is full.
    let _: Result<(), _> = pdf_extract::output_doc(&document, &mut PlainTextOutput::new(text));
}

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.push(more).then_some(()).ok_or(fmt::Error)
    }
}

impl<'t> ConvertToFmt for &'t mut Text {
    type Writer = &'t mut Text;

    fn convert(self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::text_of;

    /// A page that shows a text.
    fn pdf(text: &str) -> Vec<u8> {
        let stream = format!("BT /F1 12 Tf 72 700 Td ({text}) Tj ET");
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
            format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        ];
        let mut file = "%PDF-1.4\n".to_owned();
        let mut table = String::new();
        for (index, object) in objects.iter().enumerate() {
            table += &format!("{:010} 00000 n \n", file.len());
            file += &format!("{} 0 obj\n{object}\nendobj\n", index + 1);
        }
        let start = file.len();
        file += &format!(
            "xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
        );
        file.into_bytes()
    }

    #[test]
    fn pages_are_read() {
        let text = text_of(&pdf("Zebras at last"), 1_000).unwrap();
        assert_eq!(
            text.split_whitespace().collect::<Vec<_>>(),
            ["Zebras", "at", "last"]
        );
        assert_eq!(text_of(&pdf("Zebras at last"), 6).unwrap().trim(), "Zebr");
    }

    #[test]
    fn broken_ones_have_no_text() {
        let whole = pdf("Zebras");
        // Whatever is missing or wrong: nothing escapes.
        for cut in 0..whole.len() {
            let _: Option<String> = text_of(&whole[..cut], 100);
            let mut other = whole.clone();
            other[cut] ^= 0x15;
            let _: Option<String> = text_of(&other, 100);
        }
        let loops = String::from_utf8(whole)
            .unwrap()
            .replace("/Kids [3 0 R]", "/Kids [2 0 R]");
        assert_eq!(text_of(loops.as_bytes(), 100), None);
    }
}
