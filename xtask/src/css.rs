//! One style sheet out of several: `@import`ed local files take the place of their import.

use std::fs;
use std::path::Path;

use crate::failure::{During, Failure, Result};

/// The text of `file` with every local import replaced, in order, within its layer and media query.
///
/// An import stands on a line of its own: `@import "tokens.css";` or `@import url("x.css") layer(base);`.
pub fn bundle(file: &Path) -> Result<String> {
    bundle_inside(file, &mut Vec::new())
}

fn bundle_inside<'a>(file: &'a Path, open: &mut Vec<&'a Path>) -> Result<String> {
    if open.contains(&file) {
        return Err(Failure::new(format!("{} imports itself: remove one @import", file.display())));
    }
    let text = fs::read_to_string(file).during(format_args!("read the style sheet {}", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut bundled = String::with_capacity(text.len());
    for line in text.lines() {
        match Import::parse(line) {
            Some(import) => {
                let imported = folder.join(import.path);
                let mut inner: Vec<&Path> = open.clone();
                inner.push(file);
                bundled.push_str(&import.wrap(&bundle_inside(&imported, &mut inner)?));
            }
            None => bundled.push_str(line),
        }
        bundled.push('\n');
    }
    Ok(bundled)
}

/// One `@import` of a local file.
#[derive(Debug, PartialEq, Eq)]
struct Import<'a> {
    path: &'a str,
    condition: &'a str,
}

impl<'a> Import<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let rest = line.trim().strip_prefix("@import")?.trim().strip_suffix(';')?.trim();
        let (inside, condition) = match rest.strip_prefix("url(") {
            Some(rest) => rest.split_once(')')?,
            None => {
                let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
                rest[1..].split_once(quote)?
            }
        };
        let path = inside.trim_matches(['"', '\'', ' ']);
        let is_local = !path.contains("//") && !path.starts_with('/');
        is_local.then(|| Self { path, condition: condition.trim() })
    }

    fn wrap(&self, text: &str) -> String {
        if self.condition.is_empty() {
            return text.to_owned();
        }
        if self.condition == "layer" {
            return format!("@layer {{\n{text}}}");
        }
        let Some(rest) = self.condition.strip_prefix("layer(") else {
            return format!("@media {} {{\n{text}}}", self.condition);
        };
        let Some((layer, media)) = rest.split_once(')') else {
            return text.to_owned();
        };
        let layered = format!("@layer {layer} {{\n{text}}}");
        match media.trim() {
            "" => layered,
            media => format!("@media {media} {{\n{layered}\n}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled(main: &str, other: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.css"), main).unwrap();
        fs::write(folder.path().join("other.css"), other).unwrap();
        bundle(&folder.path().join("main.css")).unwrap()
    }

    #[test]
    fn imports_are_replaced_in_their_place() {
        let css = bundled("@layer a, b;\n@import \"other.css\";\nmain {}\n", "p {}\n");
        assert_eq!(css, "@layer a, b;\np {}\n\nmain {}\n");
    }

    #[test]
    fn layers_and_media_queries_stay() {
        assert_eq!(bundled("@import url(\"other.css\") layer(a);\n", "p {}\n"), "@layer a {\np {}\n}\n");
        assert_eq!(bundled("@import 'other.css' print;\n", "p {}\n"), "@media print {\np {}\n}\n");
        let both = bundled("@import 'other.css' layer(a) print;\n", "p {}\n");
        assert_eq!(both, "@media print {\n@layer a {\np {}\n}\n}\n");
    }

    #[test]
    fn imports_from_elsewhere_are_left_alone() {
        assert_eq!(Import::parse("@import url(\"https://example.com/x.css\");"), None);
        assert_eq!(Import::parse("main { color: red; }"), None);
    }

    #[test]
    fn a_circle_of_imports_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.css"), "@import \"main.css\";\n").unwrap();
        let failure = bundle(&folder.path().join("main.css")).unwrap_err().to_string();
        assert!(failure.contains("imports itself"), "{failure}");
    }
}
