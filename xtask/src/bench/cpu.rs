//! What a process has used so far, as the kernel counts it.

use std::time::Duration;

use anyhow::Context as _;

/// A tick of `/proc/PID/stat`: 1/100 s on every Linux since 2.6.
const TICK: Duration = Duration::from_millis(10);

/// CPU time in user and kernel mode, of all threads.
pub(super) fn spent(pid: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("bench needs Linux's /proc")?;
    ticks(&text).map(|ticks| TICK * ticks).with_context(|| format!("a strange /proc/{pid}/stat"))
}

/// Resident memory in KiB.
pub(super) fn resident(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context("bench needs Linux's /proc")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    size.with_context(|| format!("a strange /proc/{pid}/status"))
}

/// utime + stime: fields 14 and 15. The name before them, in parentheses, may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let (user, kernel): (u32, u32) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    user.checked_add(kernel)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 0 -1 4194560 500 0 0 0 130 42 0 0 20 0 4 0 9 1 2";
        assert_eq!(super::ticks(stat), Some(172));
        assert_eq!(super::ticks("7 (a"), None);
    }
}
