//! Watches the policy files. The parent directory is watched, not the file: editors rename, ConfigMaps swap a symlink.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::audit::Change;
use crate::pipeline::Shared;
use crate::policies::PolicyFile;

/// Changes come in bursts; this long after the first one, all files are read.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Some file systems report nothing: then a change is found at the next round.
const ROUND: Duration = Duration::from_secs(30);

/// Reading a file is an event too, and ours must not cause the next.
fn is_change(event: &notify::Result<notify::Event>) -> bool {
    let access = |event: &notify::Event| event.kind.is_access();
    !event.as_ref().is_ok_and(access)
}

/// Keeps the watcher alive.
pub(crate) struct Watch {
    _watcher: Option<RecommendedWatcher>,
    changes: mpsc::Receiver<()>,
}

impl Watch {
    pub(crate) fn over(files: &[Arc<PolicyFile>]) -> Self {
        let (say, changes) = mpsc::channel(1);
        let told = notify::recommended_watcher(move |event| {
            if is_change(&event) {
                _ = say.try_send(());
            }
        });
        let watcher = told.and_then(|mut watcher: RecommendedWatcher| {
            for directory in files.iter().filter_map(|file| file.path.parent()).collect::<BTreeSet<&Path>>() {
                if directory.is_dir() {
                    watcher.watch(directory, RecursiveMode::NonRecursive)?;
                }
            }
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "policy files cannot be watched: they are read every {ROUND:?}");
        }
        Self { _watcher: watcher.ok(), changes }
    }

    pub(crate) async fn run(mut self, files: Arc<[Arc<PolicyFile>]>, shared: Arc<Shared>) {
        loop {
            // A watcher that is gone leaves the rounds.
            if let Ok(None) = tokio::time::timeout(ROUND, self.changes.recv()).await {
                tokio::time::sleep(ROUND).await;
            }
            tokio::time::sleep(DEBOUNCE).await;
            _ = self.changes.try_recv();
            for file in files.iter().filter(|file| file.is_watched()) {
                if let Some((from, to)) = file.reload() {
                    let change =
                        Change { who: "file", what: "policy", id: &file.name, from: Some(&from), to: Some(&to) };
                    shared.audit.changed(&change);
                    shared.events.changed(&change);
                    shared.registry.stir();
                }
            }
        }
    }
}
