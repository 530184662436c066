//! Links between documents lead somewhere: to a file that is there, to a heading that it has.

use super::Files;

pub(super) fn check(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, text) in files.named(|name| name.ends_with(".md")) {
        for link in links(text) {
            if !leads_somewhere(files, name, link) {
                problems.push(format!("{name}: the link `{link}` leads nowhere"));
            }
        }
    }
    problems
}

fn leads_somewhere(files: &Files, from: &str, link: &str) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if path.is_empty() { from.to_owned() } else { join(folder, path) };
    let mut target = files.named(|name| name == path);
    match target.next() {
        Some((_, text)) => {
            heading.is_empty() || prose(text).filter(|line| line.starts_with('#')).any(|line| slug(line) == heading)
        }
        None => heading.is_empty() && files.has(&path),
    }
}

fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)))
}

/// A heading's name in a link, as the usual hosts make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_links_lead() {
        let readme = "[a](docs/a.md) [b](docs/a.md#two-words) [c](docs) [d](https://x/y) [e](#one)\n# One\n\
                      [f](none.md) [g](docs/a.md#three) [h](#two)\n```\n[i](none)\n# Two\n```\n";
        let files = [
            ("README.md", readme),
            ("docs/a.md", "## `Two` words\n[a](../README.md) [b](./a.md) [c](../../README.md/x)"),
        ];
        let files = Files(files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec());
        let expected = [
            "README.md: the link `none.md` leads nowhere",
            "README.md: the link `docs/a.md#three` leads nowhere",
            "README.md: the link `#two` leads nowhere",
            "docs/a.md: the link `../../README.md/x` leads nowhere",
        ];
        assert_eq!(check(&files), expected);
    }
}
