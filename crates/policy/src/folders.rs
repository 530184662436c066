//! Whether a file path lies inside a folder, as far as its text tells: no file is asked.

use std::fmt;

use smallvec::SmallVec;

/// A folder that a policy names.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    absolute: bool,
    ups: usize,
    parts: Vec<Box<str>>,
}

impl Folder {
    pub(crate) fn new(text: &str) -> Self {
        let text = decoded(text);
        let path = Lexical::of(&text);
        Self { absolute: path.absolute, ups: path.ups, parts: path.parts.iter().map(|part| (*part).into()).collect() }
    }

    /// A path below it: of this name, directly inside.
    pub(crate) fn with(&self, name: &str) -> String {
        let root = if self.absolute { "/" } else { "" };
        let ups = std::iter::repeat_n("..", self.ups);
        let parts = ups.chain(self.parts.iter().map(|part| &**part)).chain([name]).collect::<Vec<_>>();
        format!("{root}{}", parts.join("/"))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ups = std::iter::repeat_n("..", self.ups);
        let path = ups.chain(self.parts.iter().map(|part| &**part)).collect::<Vec<_>>().join("/");
        match (self.absolute, path.is_empty()) {
            (true, _) => write!(f, "/{path}"),
            (false, true) => f.write_str("."),
            (false, false) => f.write_str(&path),
        }
    }
}

/// Whether any of the folders holds the path; each holds itself.
pub(crate) fn hold(folders: &[Folder], path: &str) -> bool {
    let path = decoded(path);
    let path = Lexical::of(&path);
    folders.iter().any(|folder| path.is_inside(folder))
}

struct Lexical<'t> {
    absolute: bool,
    /// How often a relative path leaves where it starts.
    ups: usize,
    parts: SmallVec<[&'t str; 16]>,
}

impl<'t> Lexical<'t> {
    fn of(text: &'t str) -> Self {
        let separator = ['/', '\\'];
        let mut path = Self { absolute: text.starts_with(separator), ups: 0, parts: SmallVec::new() };
        for part in text.split(separator) {
            match part {
                "" | "." => {}
                ".." if path.parts.pop().is_some() || path.absolute => {}
                ".." => path.ups += 1,
                part => path.parts.push(part),
            }
        }
        path
    }

    fn is_inside(&self, folder: &Folder) -> bool {
        let below =
            || self.parts.len() >= folder.parts.len() && folder.parts.iter().zip(&self.parts).all(|(a, b)| **a == **b);
        self.absolute == folder.absolute
            && (self.ups == folder.ups && below() || self.ups < folder.ups && folder.parts.is_empty())
    }
}

/// The escapes that could hide a step (`%2e`, `%2f`, `%5c`), decoded once; all others stay as they are.
fn decoded(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let escape = piece.get(..2).map(str::to_ascii_lowercase);
        let (c, rest) = match escape.as_deref() {
            Some("2e") => ('.', piece.get(2..)),
            Some("2f") => ('/', piece.get(2..)),
            Some("5c") => ('\\', piece.get(2..)),
            Some(_) | None => ('%', Some(piece)),
        };
        decoded.push(c);
        decoded.push_str(rest.unwrap_or_default());
    }
    decoded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(folder: &str, path: &str, expected: bool) {
        assert_eq!(hold(&[Folder::new(folder)], path), expected, "{path} in {folder}");
    }

    #[test]
    fn paths() {
        check("/srv/docs", "/srv/docs", true);
        check("/srv/docs/", "/srv/docs/a/b", true);
        check("/srv/docs", "/srv/docs2", false);
        check("/srv/docs", "/srv/Docs/a", false);
        check("/srv/docs", "/srv/docs/../secret", false);
        check("/srv/docs", "/srv/docs/a/../../docs/b", true);
        check("/srv/docs", "//srv/./docs//a", true);
        check("/srv/docs", "/../../srv/docs/a", true);
        check("/srv/docs", "\\srv\\docs\\a", true);
        check("/srv/docs", "/srv/docs/..\\secret", false);
        check("/srv/docs", "/srv/docs/%2e%2E/secret", false);
        check("/srv/docs", "/srv/docs%2f..%5Csecret", false);
        check("/srv/docs", "/srv/docs/%252e%252e/secret", true);
        check("/srv/docs", "/srv/docs/%2", true);
        check("/srv/docs", "srv/docs/a", false);
        check("/", "/etc/passwd", true);
        check("/", "etc", false);
        check("docs", "docs/a", true);
        check("docs", "./docs/a", true);
        check("docs", "../docs/a", false);
        check("docs", "/docs/a", false);
        check(".", "a/../../b", false);
        check(".", "a/../b", true);
        check("..", "a", true);
        check("../x", "a", false);
        check("..", "../../a", false);
        check("/srv/docs", "", false);
        check("C:\\srv", "C:/srv/a", true);
    }
}
