//! `cargo fmt` over the workspace.

use crate::shell::{cargo, run as sh};

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    sh(cargo(&["fmt", "--all"]).args(args))
}
