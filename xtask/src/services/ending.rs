//! Signals that end us end what we started first, and take its folders away.

use std::path::PathBuf;
use std::sync::{Mutex, Once, PoisonError, mpsc};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::signal::unix::{SignalKind, signal};

/// A child that runs, how it is told to end, and its folder.
struct Charge {
    process: Pid,
    signal: Signal,
    folder: PathBuf,
}

static CHARGES: Mutex<Vec<Charge>> = Mutex::new(Vec::new());
static WATCHED: Once = Once::new();

/// What a shell says of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// From now on a signal ends this child too.
pub(super) fn watch(process: Pid, signal: Signal, folder: PathBuf) -> anyhow::Result<()> {
    charges().push(Charge { process, signal, folder });
    let mut started = Ok(());
    WATCHED.call_once(|| started = listen());
    started
}

/// It has ended, or is about to be ended by its owner.
pub(super) fn unwatch(process: Pid) {
    charges().retain(|charge| charge.process != process);
}

/// Returns never: a signal ends all.
pub(super) fn wait() -> anyhow::Result<()> {
    let (_kept, never) = mpsc::channel::<()>();
    never.recv().context("nobody says anything here")
}

fn listen() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        end();
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

fn end() {
    let charges = std::mem::take(&mut *charges());
    for Charge { process, signal, .. } in &charges {
        // It may have ended already.
        _ = kill_process(*process, *signal);
    }
    for Charge { process, folder, .. } in charges {
        _ = waitpid(Some(process), WaitOptions::empty());
        _ = std::fs::remove_dir_all(folder);
    }
}

fn charges() -> std::sync::MutexGuard<'static, Vec<Charge>> {
    CHARGES.lock().unwrap_or_else(PoisonError::into_inner)
}
