//! Placeholder for `cargo xtask bench`.

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("not written yet")
}
