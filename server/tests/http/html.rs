//! As much of HTML as our own pages need: elements with their attributes, their text, and what stands inside what.

use std::collections::{BTreeMap, BTreeSet};

/// Elements that hold nothing.
const VOID: [&str; 8] = ["br", "col", "hr", "img", "input", "link", "meta", "source"];

/// An element.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    attributes: BTreeMap<String, String>,
    /// The place of the element around it.
    parent: Option<usize>,
    text: String,
}

impl Element {
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    /// The name that a screen reader says of a button, link or heading.
    pub fn label(&self) -> String {
        let text = self.get("aria-label").unwrap_or(&self.text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A form that changes something.
#[derive(Debug)]
pub struct Form {
    pub action: String,
    /// The names of what it can send; `tools` for `tools[generate_image]`.
    pub names: BTreeSet<String>,
}

/// A page, its elements in order.
#[derive(Debug)]
pub struct Page(Vec<Element>);

impl Page {
    pub fn read(html: &str) -> Self {
        let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            let text = unescaped(&rest[..at]);
            open.iter().for_each(|place| elements[*place].text.push_str(&text));
            let tag = tag(&rest[at..]);
            rest = &rest[at + tag.len()..];
            if let Some(name) = tag.strip_prefix("</") {
                let name = name.trim_end_matches('>').trim();
                if let Some(place) = open.iter().rposition(|place| elements[*place].name == name) {
                    open.truncate(place);
                }
            } else if !tag.starts_with("<!") {
                let element = element(tag, open.last().copied());
                if ["script", "style"].contains(&&*element.name) {
                    rest = rest.find("</").map_or("", |end| &rest[end..]);
                }
                if !VOID.contains(&&*element.name) && !tag.ends_with("/>") {
                    open.push(elements.len());
                }
                elements.push(element);
            }
        }
        Self(elements)
    }

    /// The elements of that name, but for what stands inside one of the class `outside`.
    pub fn all<'a>(&'a self, name: &'a str, outside: Option<&'a str>) -> impl Iterator<Item = &'a Element> {
        let around = move |element: &Element| outside.is_some_and(|class| self.is_inside(element, class));
        self.0.iter().filter(move |element| element.name == name && !around(element))
    }

    fn is_inside(&self, element: &Element, class: &str) -> bool {
        let mut parents = std::iter::successors(element.parent, |place| self.0[*place].parent);
        parents.any(|place| self.0[place].get("class") == Some(class))
    }

    /// What can be sent to change something.
    pub fn forms(&self) -> Vec<Form> {
        let is_form = |element: &Element| element.name == "form" && element.get("method") == Some("post");
        let places =
            self.0.iter().enumerate().filter(|(_, element)| is_form(element)).map(|(place, _)| place);
        places.map(|place| self.form(place)).collect()
    }

    fn form(&self, form: usize) -> Form {
        let is_in = |element: &&Element| {
            std::iter::successors(element.parent, |place| self.0[*place].parent).any(|place| place == form)
        };
        let names =
            self.0.iter().filter(is_in).filter(|one| one.name != "a").filter_map(|one| one.get("name"));
        let names = names.map(|name| name.split('[').next().unwrap_or(name).to_owned());
        Form { action: self.0[form].get("action").unwrap_or_default().to_owned(), names: names.collect() }
    }
}

/// The tag that `text` begins with; an attribute may hold `>`.
fn tag(text: &str) -> &str {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '>' if !quoted => return &text[..=at],
            _ => (),
        }
    }
    text
}

fn element(tag: &str, parent: Option<usize>) -> Element {
    let inside = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
    let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    let mut attributes = BTreeMap::new();
    while let Some(begin) = rest.find(|letter: char| !letter.is_whitespace()) {
        rest = &rest[begin..];
        let end = rest.find(|letter: char| letter == '=' || letter.is_whitespace()).unwrap_or(rest.len());
        let (attribute, behind) = rest.split_at(end);
        let value = behind.strip_prefix("=\"").and_then(|behind| behind.split_once('"'));
        let (value, behind) = value.unwrap_or(("", behind.trim_start_matches('=')));
        attributes.insert(attribute.to_owned(), unescaped(value));
        rest = behind;
    }
    Element { name: name.to_owned(), attributes, parent, text: String::new() }
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#x27;", "'").replace("&amp;", "&")
}

#[test]
fn a_page_is_read() {
    let page = Page::read(
        "<!DOCTYPE html><html><body><aside class=\"side\"><button>Find</button></aside><form method=\"post\" \
         action=\"/api/x\"><input name=\"a\" placeholder=\"cost:>1\" required><textarea name=\"b\">\n&lt;p></textarea>\
         <input name=\"tools[y]\"><button name=\"step\" value=\"go\"><b>Do</b> it</button></form>\
         <button aria-label=\"End Ada’s\">End</button><script>let x = '<p>';</script></body></html>",
    );
    let labels = |outside| page.all("button", outside).map(Element::label).collect::<Vec<_>>();
    assert_eq!(labels(None), ["Find", "Do it", "End Ada’s"]);
    assert_eq!(labels(Some("side")), ["Do it", "End Ada’s"]);
    let forms = page.forms();
    assert_eq!((forms.len(), forms[0].action.as_str()), (1, "/api/x"));
    assert_eq!(forms[0].names.iter().collect::<Vec<_>>(), ["a", "b", "step", "tools"]);
    assert_eq!(page.all("input", None).next().unwrap().get("placeholder"), Some("cost:>1"));
}
