//! Finds policies that have cases beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A policy and its cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub policy: PathBuf,
    pub cases: PathBuf,
}

/// Why there is nothing to play.
#[derive(Debug, thiserror::Error)]
pub enum NoScript {
    #[error("cannot look into `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "no cases beside `{0}`: write a `cases.json` there, such as [{{ \"tool\": \"get_issue\", \"expect\": {{ \"outcome\": \"permit\" }} }}]"
    )]
    NoCases(PathBuf),
    #[error(
        "no folder in `{0}` has both a `policy.json` and a `cases.json`: name a policy, or write its cases beside it"
    )]
    Nothing(PathBuf),
    #[error("`{first}` and `{second}` lie in one folder: which of them is meant? Remove one, or name the policy")]
    Two { first: PathBuf, second: PathBuf },
}

const POLICIES: [&str; 3] = ["policy.json", "policy.yaml", "policy.yml"];
const CASES: [&str; 3] = ["cases.json", "cases.yaml", "cases.yml"];

/// Folders within folders are looked through this deep.
const DEPTH: usize = 16;

/// For each path, the policy itself or all policies with cases in that folder and below; by path.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Script>, NoScript> {
    let mut scripts = Vec::new();
    for path in paths {
        let about = fs::metadata(path).map_err(|source| NoScript::Read { path: path.clone(), source })?;
        if about.is_dir() {
            let before = scripts.len();
            below(path, DEPTH, &mut scripts)?;
            if scripts.len() == before {
                return Err(NoScript::Nothing(path.clone()));
            }
        } else {
            let folder = path.parent().unwrap_or(Path::new(""));
            let cases = only(folder, CASES)?.ok_or_else(|| NoScript::NoCases(path.clone()))?;
            scripts.push(Script { policy: path.clone(), cases });
        }
    }
    Ok(scripts)
}

fn below(folder: &Path, depth: usize, scripts: &mut Vec<Script>) -> Result<(), NoScript> {
    if let Some(cases) = only(folder, CASES)?
        && let Some(policy) = only(folder, POLICIES)?
    {
        scripts.push(Script { policy, cases });
    }
    let unreadable = |source| NoScript::Read { path: folder.to_owned(), source };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // Links are not followed: they may lead round in a circle.
        let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
        let name = entry.file_name();
        let is_skipped =
            name.as_encoded_bytes().starts_with(b".") || ["target", "node_modules"].iter().any(|n| name == *n);
        if is_folder && !is_skipped {
            folders.push(joined(folder, Path::new(&name)));
        }
    }
    folders.sort_unstable();
    match depth.checked_sub(1) {
        Some(depth) => folders.iter().try_for_each(|folder| below(folder, depth, scripts)),
        None => Ok(()),
    }
}

/// The one file of these names that is there.
fn only(folder: &Path, names: [&str; 3]) -> Result<Option<PathBuf>, NoScript> {
    let mut there = names.iter().map(|name| joined(folder, Path::new(name))).filter(|path| path.is_file());
    match (there.next(), there.next()) {
        (Some(first), Some(second)) => Err(NoScript::Two { first, second }),
        (first, _) => Ok(first),
    }
}

/// Without the `./` that nobody wrote.
fn joined(folder: &Path, name: &Path) -> PathBuf {
    if folder == Path::new(".") { name.to_owned() } else { folder.join(name) }
}
