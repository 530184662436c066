//! Every Rust file opens with what a reader must know; no file names somebody's machine.

use super::Files;

/// Written apart, so that this file may stand the check itself.
const FOREIGN: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
    concat!("arti", "factory"),
    concat!("/Us", "ers/"),
];

const CRATES_IO: &str = "\"registry+https://github.com/rust-lang/crates.io-index\"";
const NPM: &str = "\"https://registry.npmjs.org/";

pub(super) fn check(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, text) in files.named(|name| name.ends_with(".rs")) {
        if !text.starts_with("//! ") {
            problems.push(format!("{name}: does not open with `//!`"));
        }
    }
    for (name, text) in files.named(|_| true) {
        for (number, line) in text.lines().enumerate() {
            if let Some(reason) = judge(name, line) {
                problems.push(format!("{name}:{}: {reason}", number + 1));
            }
        }
    }
    problems
}

fn judge(name: &str, line: &str) -> Option<String> {
    // What somebody else said on the wire is kept as it was said.
    let is_recorded = name.contains("/tests/data/");
    if let Some(foreign) = FOREIGN.iter().find(|foreign| !is_recorded && line.contains(**foreign)) {
        return Some(format!("names a place on some machine: `{foreign}`"));
    }
    let line = line.trim();
    let source = match name.rsplit('/').next() {
        Some("Cargo.lock") => line.strip_prefix("source = ").filter(|source| !source.starts_with(CRATES_IO)),
        Some("package-lock.json") => line.strip_prefix("\"resolved\": ").filter(|source| !source.starts_with(NPM)),
        _ => None,
    };
    source.map(|source| format!("is locked to an unusual source: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file() {
        let files = [
            ("a.rs", "//! Says what it is.\nfn a() {}\n".to_owned()),
            ("b.rs", "fn b() {}\n".to_owned()),
            ("crates/a/tests/data/x.json", FOREIGN[0].to_owned()),
            ("c.md", format!("fine\nsee {}x", FOREIGN[0])),
            ("Cargo.lock", format!("source = {CRATES_IO}\nsource = \"git+https://x\"")),
            ("npm/package-lock.json", format!("\"resolved\": {NPM}x\",\n\"resolved\": \"https://mirror/x\",")),
        ];
        let files = Files(files.map(|(name, text)| (name.to_owned(), text)).to_vec());
        let expected = [
            "b.rs: does not open with `//!`".to_owned(),
            format!("c.md:2: names a place on some machine: `{}`", FOREIGN[0]),
            "Cargo.lock:2: is locked to an unusual source: \"git+https://x\"".to_owned(),
            "npm/package-lock.json:2: is locked to an unusual source: \"https://mirror/x\",".to_owned(),
        ];
        assert_eq!(check(&files), expected);
    }
}
