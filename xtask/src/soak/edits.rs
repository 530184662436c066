//! `edits`: whatever byte or line of a journal is changed, cut, swapped or dropped, `toolgate audit verify` finds it.
//! Planted: an edit that changes nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::load::{Load, Plan};
use super::oracle::promised;
use super::stage::{Setup, Stage};
use super::upstream::Upstream;
use super::{Played, trail};

const POLICY: &str = r#"{ "version": "1", "default": "allow" }"#;
/// Small ones, so that edits fall into several.
const SEGMENT: &str = "[audit]\nsegment = \"64KiB\"\n";
const CLIENTS: usize = 4;
const CALLS: usize = 80;

pub(super) fn play(stage: &Stage) -> Played<'_> {
    Box::pin(edits(stage))
}

async fn edits(stage: &Stage) -> anyhow::Result<String> {
    let edits = stage.rounds(1_000, 100_000);
    let upstream = Upstream::start(Duration::ZERO).await?;
    let node = stage.node("node", &Setup { upstream: upstream.address, policy: POLICY, more: SEGMENT })?;
    let gateway = stage.start(&node).await?;
    Load::start(gateway.data, &Plan { calls: CALLS, ..Plan::of(CLIENTS, "t") }).done().await;
    gateway.stop().await?;
    trail::verify(stage, &node).await?;
    let segments = segments(&node)?;
    ensure!(segments.len() > 2, "{} segments are too few", segments.len());
    let mut done = 0;
    while done < edits {
        let (file, text) = segments.get(fastrand::usize(..segments.len())).context("one of them")?;
        let Some((edit, changed)) = (if stage.planted { Some(("nothing".into(), text.clone())) } else { edited(text) })
        else {
            continue;
        };
        std::fs::write(file, changed)?;
        let found = trail::verify(stage, &node).await;
        std::fs::write(file, text)?;
        if let Err(error) = &found {
            ensure!(error.is::<super::oracle::Broken>(), "{error:#}");
        }
        promised(found.is_err(), || format!("an edit of {} was not found: {edit}", file.display()))?;
        done += 1;
    }
    Ok(format!("{edits} edits in {} segments, each found", segments.len()))
}

fn segments(node: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let files = std::fs::read_dir(node.join("data/audit"))?.map(|entry| Ok(entry?.path()));
    let files: Vec<PathBuf> = files.collect::<std::io::Result<_>>()?;
    let segments = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    segments.map(|file| std::fs::read(&file).map(|text| (file, text)).context("cannot read a segment")).collect()
}

/// What was done to the text, and the text; none when that changes nothing.
fn edited(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let (place, line, other) =
        (fastrand::usize(..text.len()), fastrand::usize(..lines.len()), fastrand::usize(..lines.len()));
    let (edit, changed) = match fastrand::u8(..4) {
        0 => {
            let mut changed = text.to_vec();
            *changed.get_mut(place)? ^= fastrand::u8(1..);
            (format!("byte {place} flipped"), changed)
        }
        1 => (format!("cut at byte {place}"), text.get(..place)?.to_vec()),
        2 => {
            lines.swap(line, other);
            (format!("lines {line} and {other} swapped"), lines.concat())
        }
        _ => {
            lines.remove(line);
            (format!("line {line} dropped"), lines.concat())
        }
    };
    (changed != text).then_some((edit, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_something() {
        let text = b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        let edits: Vec<_> = (0..200).filter_map(|_| edited(text)).collect();
        assert!(edits.iter().all(|(_, changed)| changed != text));
        for kind in ["flipped", "cut", "swapped", "dropped"] {
            assert!(edits.iter().any(|(edit, _)| edit.contains(kind)), "{kind}");
        }
    }
}
