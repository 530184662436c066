//! Everything that exists in the service, behind one lock that nobody holds while waiting.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Millis};
use crate::deployments::Deployment;
use crate::fault::Faults;
use crate::files::File;
use crate::jobs::{Copy, Job};
use crate::journal::Journal;
use crate::uploads::Upload;
use crate::{Seed, demo, id};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) key: String,
    pub(crate) reader_key: String,
    pub(crate) control_token: String,
    pub(crate) token_lifetime: std::time::Duration,
    /// Where the contents of files lie; in memory without it.
    pub(crate) directory: Option<PathBuf>,
    /// The bytes of all files that were sent and are in memory, whole or not yet.
    pub(crate) memory: Arc<AtomicU64>,
    pub(crate) url: String,
    pub(crate) seed: Seed,
    pub(crate) world: Mutex<World>,
}

/// The order of lists is the order of creation, newest first; the vectors are oldest first.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) jobs: Vec<Job>,
    pub(crate) files: Vec<File>,
    /// Result files that were deleted: they exist because their jobs do.
    pub(crate) deleted_results: HashSet<String>,
    pub(crate) uploads: Vec<Upload>,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    pub(crate) copies: Vec<Copy>,
    pub(crate) tokens: BTreeMap<String, Token>,
    made: u64,
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) audience: String,
    /// By unhurried time.
    pub(crate) ends: Millis,
}

/// What there may be of each kind, deleted ones not counted.
pub(crate) const MOST_JOBS: usize = 100;
pub(crate) const MOST_FILES: usize = 50;
pub(crate) const MOST_UPLOADS: usize = 50;
pub(crate) const MOST_DEPLOYMENTS: usize = 50;
pub(crate) const MOST_TOKENS: usize = 1_000;

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As at the start; time and tokens go on.
    pub(crate) fn reset(&self, seed: Seed) {
        self.journal.clear();
        self.faults.clear();
        let fresh = demo::world(seed, self.clock.now());
        let mut world = self.world();
        let (tokens, made) = (std::mem::take(&mut world.tokens), world.made);
        *world = World { tokens, made, ..fresh };
    }
}

impl World {
    /// An id that nothing else has.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        id::made(prefix, &format!("{prefix} {}", self.made))
    }
}
