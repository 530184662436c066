//! The journal through its front door: what is appended is there, what is changed is found.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod crash;
mod full;
mod retention;
mod tamper;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use journal::{Journal, Keep, Opened, Settings, SigningKey, Sync};

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
        keep: Keep::default(),
        stamp: Arc::new(|ago| format!("2026-11-27T12:{:02}:00Z", 59 - ago.as_secs() / 60)),
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
