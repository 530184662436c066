//! `docs/compatibility.md`, written from what was seen. The same outcome gives the same bytes.

use std::fmt::Write as _;

use super::cell::{ABOUT, CHECKS, Cell, Mount, Server, Way};
use super::client::Sdk;
use super::{Era, Seen};

const HEAD: &str = "\
# Compatibility

<!-- Written by `cargo xtask e2e --matrix`. Do not edit: `cargo xtask e2e --matrix --check` compares. -->

Which MCP client reaches which MCP server through Toolgate, as it was seen: unmodified SDKs on both sides, a policy in between. *Legacy* is MCP
2025-11-25 and older, *modern* is 2026-07-28; each server below speaks one of the two only. *Transparent* is the mount of one server
(`/mcp/{server}`), *aggregate* the one of all (`/mcp`, tools are named `server__tool`).
";

const SECTIONS: [(&str, &str); 5] = [
    ("Streamable HTTP clients", "http"),
    ("HTTP+SSE clients (2024-11-05)", "sse"),
    ("stdio clients, by `toolgate bridge`", "bridge"),
    ("stdio clients, by `toolgate wrap`", "wrap"),
    ("Without Toolgate, for comparison", "direct"),
];

pub(super) fn write(seen: &Seen, versions: &[(String, String)]) -> String {
    let mut page = HEAD.to_owned();
    page += "\n| what | version |\n|---|---|\n";
    for (name, version) in versions {
        let _ = writeln!(page, "| {name} | {version} |");
    }
    let _ = write!(page, "\nA cell says how many of {} checks hold:\n\n", CHECKS.len());
    for (check, about) in CHECKS.iter().zip(ABOUT) {
        let _ = writeln!(page, "- **{check}**: {about}.");
    }
    for (title, kind) in SECTIONS {
        let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| way.name().starts_with(kind)).collect();
        section(&mut page, title, &ways, seen);
    }
    page
}

fn section(page: &mut String, title: &str, ways: &[Way], seen: &Seen) {
    let mut notes = Notes::default();
    let _ = write!(page, "\n## {title}\n\n| client | era | mount |");
    for server in Server::ALL {
        let _ = write!(page, " {} |", server.title());
    }
    let _ = writeln!(page, "\n|{}", "---|".repeat(3 + Server::ALL.len()));
    for &(sdk, era) in seen.clients() {
        for &way in ways {
            let mount = way.mount().map_or("", Mount::name);
            let note = sdk.note().map(|note| format!(" ({})", notes.number(note))).unwrap_or_default();
            let _ = write!(page, "| {}{note} | {} | {mount} |", Sdk::title(sdk), Era::name(era));
            for server in Server::ALL {
                let cell = Cell { era, has_sse: sdk.has_sse(), way, server };
                let _ = write!(page, " {} |", shown(cell, seen.of(sdk, cell), &mut notes));
            }
            page.push('\n');
        }
    }
    if !notes.0.is_empty() {
        page.push('\n');
    }
    for (number, note) in (1..).zip(&notes.0) {
        let _ = writeln!(page, "{number}. {note}");
    }
}

fn shown(cell: Cell, passed: &[&str], notes: &mut Notes) -> String {
    if let Some(why) = cell.impossible() {
        return format!("n/a ({})", notes.number(why));
    }
    let wanted = cell.checks();
    let mut marks: Vec<usize> =
        CHECKS.iter().filter_map(|check| cell.pointless(check)).map(|why| notes.number(why)).collect();
    let missing: Vec<&str> = wanted.iter().filter(|check| !passed.contains(check)).copied().collect();
    if !missing.is_empty() {
        marks.push(notes.number(&format!("Fails: {}.", missing.join(", "))));
    }
    let count = format!("{}/{}", wanted.len() - missing.len(), wanted.len());
    match marks.is_empty() {
        true => count,
        false => format!("{count} ({})", marks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Notes below a table, each once.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, note: &str) -> usize {
        match self.0.iter().position(|known| known == note) {
            Some(index) => index + 1,
            None => {
                self.0.push(note.to_owned());
                self.0.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_left_out_and_says_what_fails() {
        let (mut notes, cell) = (
            Notes::default(),
            Cell { era: Era::Modern, has_sse: true, way: Way::Http(Mount::Aggregate), server: Server::Sse },
        );
        assert_eq!(shown(cell, &CHECKS, &mut notes), "7/7");
        assert_eq!(shown(cell, &CHECKS[1..], &mut notes), "6/7 (1)");
        assert_eq!(shown(Cell { way: Way::Sse(Mount::Aggregate), ..cell }, &[], &mut notes), "n/a (2)");
        assert_eq!(shown(Cell { way: Way::Direct, ..cell }, &[], &mut notes), "n/a (2)");
        assert_eq!(
            shown(Cell { way: Way::Direct, server: Server::HttpModern, ..cell }, &CHECKS, &mut notes),
            "6/6 (3)"
        );
        assert_eq!(notes.0[0], "Fails: list.");
    }
}
