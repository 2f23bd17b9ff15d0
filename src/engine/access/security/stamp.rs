//! A reader's name on every page of a PDF, and in its metadata.

use lopdf::{Dictionary, Document, Object, ObjectId, Stream, dictionary, text_string};

use crate::domain::time::Time;

/// The font's name in a page's resources; no other program uses it.
const FONT: &str = "AgentFramerStamp";

/// For whom a copy is made.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub name: String,
    pub email: String,
    pub workspace: String,
    pub at: Time,
    pub text_sha256: String,
}

/// Why a file cannot be stamped.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStamped {
    #[error("it is not a PDF that can be read: {0}")]
    Pdf(#[from] lopdf::Error),
    #[error("it is encrypted or has no page")]
    Closed,
    #[error("it cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

impl Reader {
    fn line(&self) -> String {
        format!(
            "Confidential. Copy of {} <{}>, {}, {}. Confidentiality text {}",
            self.name,
            self.email,
            self.workspace,
            self.at.date(),
            &self.text_sha256[..12.min(self.text_sha256.len())],
        )
    }
}

/// The PDF with the reader's line at the foot of each page.
pub(super) fn stamp(pdf: &[u8], reader: &Reader) -> Result<Vec<u8>, NotStamped> {
    let mut document = Document::load_mem(pdf)?;
    let pages: Vec<ObjectId> = document.get_pages().into_values().collect();
    if document.is_encrypted() || pages.is_empty() {
        return Err(NotStamped::Closed);
    }
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
    });
    for page in pages {
        let (left, bottom) = corner(&document, page);
        add_font(&mut document, page, font)?;
        write_over(&mut document, page, &content(&reader.line(), left + 24.0, bottom + 14.0))?;
    }
    tell(&mut document, reader);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes)?;
    Ok(bytes)
}

/// The page's lower left corner; its box may be a parent's.
fn corner(document: &Document, page: ObjectId) -> (f32, f32) {
    let mut node = document.get_dictionary(page).ok();
    // A page tree of this depth is none.
    for _ in 0..32 {
        let Some(dictionary) = node else { break };
        let numbers = dictionary.get_deref(b"MediaBox", document).and_then(Object::as_array);
        if let Ok([left, bottom, ..]) = numbers.map(Vec::as_slice) {
            return (left.as_float().unwrap_or(0.0), bottom.as_float().unwrap_or(0.0));
        }
        let parent = dictionary.get(b"Parent").and_then(Object::as_reference);
        node = parent.and_then(|parent| document.get_dictionary(parent)).ok();
    }
    (0.0, 0.0)
}

fn add_font(document: &mut Document, page: ObjectId, font: ObjectId) -> Result<(), NotStamped> {
    let resources = document.get_or_create_resources(page)?.as_dict_mut()?;
    let fonts = match resources.get_mut(b"Font") {
        // Fonts that pages share stand apart.
        Ok(Object::Reference(shared)) => {
            let shared = *shared;
            document.get_object_mut(shared)?.as_dict_mut()?
        }
        Ok(own) => own.as_dict_mut()?,
        Err(_) => {
            resources.set("Font", Dictionary::new());
            resources.get_mut(b"Font")?.as_dict_mut()?
        }
    };
    fonts.set(FONT, font);
    Ok(())
}

/// Adds to a page; what stood there keeps its own graphics state to itself.
fn write_over(document: &mut Document, page: ObjectId, content: &[u8]) -> Result<(), NotStamped> {
    let before = document.add_object(Stream::new(Dictionary::new(), b"q\n".to_vec()));
    let mut parts = vec![Object::Reference(before)];
    parts.extend(document.get_page_contents(page).into_iter().map(Object::Reference));
    let after = [b"\nQ\n", content].concat();
    parts.push(Object::Reference(document.add_object(Stream::new(Dictionary::new(), after))));
    document.get_object_mut(page)?.as_dict_mut()?.set("Contents", parts);
    Ok(())
}

/// As hexadecimal, so that nothing in a name can end the string.
fn content(line: &str, x: f32, y: f32) -> Vec<u8> {
    let hex = hex::encode(win_ansi(line));
    format!("q BT /{FONT} 7 Tf 0.35 g {x} {y} Td <{hex}> Tj ET Q\n").into_bytes()
}

/// The characters that the built-in fonts have; the metadata holds the name in full.
fn win_ansi(text: &str) -> Vec<u8> {
    let byte = |c: char| match u32::from(c) {
        code @ (0x20..=0x7e | 0xa0..=0xff) => code as u8,
        _ => b'?',
    };
    text.chars().map(byte).collect()
}

fn tell(document: &mut Document, reader: &Reader) {
    let known = document.trailer.get_deref(b"Info", document).and_then(Object::as_dict).cloned();
    let mut info = known.unwrap_or_default();
    info.set("Subject", text_string(&reader.line()));
    let id = document.add_object(info);
    document.trailer.set("Info", id);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PDF of two pages that share resources, one with a box of its own.
    pub fn two_pages() -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let tree = document.new_object_id();
        let fonts = document.add_object(Dictionary::new());
        let pages: Vec<Object> = (0..2)
            .map(|page| {
                let text = Stream::new(Dictionary::new(), format!("5 0 0 5 {page} 0 cm").into_bytes());
                let contents = document.add_object(text);
                let page = dictionary! {
                    "Type" => "Page", "Parent" => tree, "Contents" => contents,
                    "Resources" => dictionary! { "Font" => fonts },
                };
                document.add_object(page).into()
            })
            .collect();
        let boxed = vec![10.into(), 20.into(), 605.into(), 862.into()];
        let all = dictionary! { "Type" => "Pages", "Count" => 2, "Kids" => pages, "MediaBox" => boxed };
        document.objects.insert(tree, Object::Dictionary(all));
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
        document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        bytes
    }

    fn reader(name: &str) -> Reader {
        Reader {
            name: name.into(),
            email: "ada@example.com".into(),
            workspace: "Growth".into(),
            at: Time::parse("2026-04-29T14:22:08Z").unwrap(),
            text_sha256: "ab".repeat(32),
        }
    }

    #[test]
    fn each_page_names_the_reader() {
        let bytes = stamp(&two_pages(), &reader("Ada (Countess) Lovelace")).unwrap();
        let stamped = Document::load_mem(&bytes).unwrap();
        let pages = stamped.get_pages();
        assert_eq!(pages.len(), 2);
        for page in pages.values() {
            let text = String::from_utf8(stamped.get_page_content(*page)).unwrap();
            let name = hex::encode("Ada (Countess) Lovelace <ada@example.com>, Growth, 2026-04-29");
            assert!(text.contains(&name) && text.contains(" 34 34 Td"), "{text}");
            assert!(text.starts_with("q") && text.contains("cm") && text.contains("Q"), "{text}");
            assert!(stamped.get_page_fonts(*page).unwrap().contains_key(FONT.as_bytes()));
        }
    }

    #[test]
    fn a_name_in_any_script_stands_in_the_metadata() {
        let bytes = stamp(&two_pages(), &reader("李清照")).unwrap();
        let stamped = Document::load_mem(&bytes).unwrap();
        let info = stamped.trailer.get_deref(b"Info", &stamped).unwrap().as_dict().unwrap();
        let subject = lopdf::decode_text_string(info.get(b"Subject").unwrap()).unwrap();
        assert!(subject.contains("李清照"), "{subject}");
    }

    #[test]
    fn what_is_no_pdf_is_refused() {
        assert!(stamp(b"a text", &reader("Ada")).is_err());
        assert!(stamp(&two_pages()[..300], &reader("Ada")).is_err());
    }
}
