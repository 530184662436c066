//! What is promised about the repository itself, checked: the crate graph, heads of files, manifests, links. Also a test, so that
//! `cargo test` says so too.

mod files;
mod graph;
mod links;
mod manifests;

use anyhow::bail;

use crate::shell::{program, read, root};

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let files = Files::list()?;
    let mut problems = graph::check()?;
    problems.extend(files::check(&files));
    problems.extend(manifests::check(&files));
    problems.extend(links::check(&files));
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("not tidy: {} problems", problems.len());
    }
    Ok(())
}

/// Every text file that is, or would be, in the repository: its path from the root, and its text.
struct Files(Vec<(String, String)>);

impl Files {
    fn list() -> anyhow::Result<Self> {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let names = read(program("git").args(list))?;
        let names = names.split('\0').filter(|name| !name.is_empty());
        // What is deleted but not yet committed, and what is not text, has nothing to check.
        let text = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?));
        Ok(Self(names.filter_map(text).collect()))
    }

    fn named(&self, matches: impl Fn(&str) -> bool) -> impl Iterator<Item = (&str, &str)> {
        let files = self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        files.filter(move |(name, _)| matches(name))
    }

    fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.0.iter().any(|(name, _)| name == path || name.starts_with(&folder))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        super::run(&[]).unwrap();
    }
}
