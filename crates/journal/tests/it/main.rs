//! The journal through its front door: what is appended is there, what is changed is found.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod crash;
mod tamper;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use journal::{Journal, Opened, Settings, SigningKey, Sync};

pub(crate) fn settings(folder: &Path) -> Settings {
    std::fs::create_dir_all(folder).unwrap();
    Settings {
        folder: folder.join("audit"),
        node: "n1".into(),
        sync: Sync::Every(Duration::from_millis(50)),
        segment: 4096,
        queue: 1000,
        patience: Duration::from_secs(20),
        key: Arc::new(SigningKey::load_or_make(&folder.join("key")).unwrap()),
        stamp: Arc::new(|| "2026-11-27T12:00:00Z".into()),
    }
}

pub(crate) fn open(folder: &Path) -> Opened {
    Journal::open(settings(folder)).unwrap()
}

/// A journal of several segments.
pub(crate) async fn filled(folder: &Path, records: u64) {
    let opened = open(folder);
    for number in 0..records {
        opened
            .journal
            .append(&format!(r#"{{"kind":"decision","tool":"t{number}","outcome":"allowed"}}"#))
            .await
            .unwrap();
    }
    opened.close();
}
