//! Finds what became of a request for a job that got no answer.

use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::Jobs;
use crate::create_job::CreateJob;
use crate::error::Error;
use crate::model::{Job, UnixTime};
use crate::pages::unreadable;

/// How much the clocks of the service and of this machine may differ.
const SKEW: Duration = Duration::from_secs(60);

pub(super) async fn find(jobs: &Jobs, wanted: &CreateJob, since: SystemTime) -> Result<Vec<Job>, Error> {
    let since = since.checked_sub(SKEW).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_new =
        |created: Option<UnixTime>| created.and_then(UnixTime::to_system_time).is_none_or(|created| created >= since);
    // A resource has a hundred jobs at most, and their order is not to be relied on: all are looked at.
    let mut pages = jobs.list().pages();
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await? {
        // One that cannot be read may be the one, unless it is older.
        let created = |odd: &Value| odd.get("created_at").and_then(|created| UnixTime::deserialize(created).ok());
        let in_the_way = page.unreadable.iter().filter(|odd| is_new(created(odd)));
        if let Some(error) = in_the_way.filter_map(|odd| unreadable::<Job>("jobs.list", odd)).next() {
            return Err(error);
        }
        found.extend(page.data.into_iter().filter(|job| is_new(job.created_at) && wanted.may_be(job)));
    }
    Ok(found)
}
