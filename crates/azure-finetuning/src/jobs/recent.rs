//! Finds what became of a request for a job that got no answer.

use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;

use super::Jobs;
use crate::create_job::CreateJob;
use crate::error::Error;
use crate::model::Job;

/// How much the clocks of the service and of this machine may differ.
const SKEW: Duration = Duration::from_secs(60);

pub(super) async fn find(jobs: &Jobs, wanted: &CreateJob, since: SystemTime) -> Result<Vec<Job>, Error> {
    let since = since.checked_sub(SKEW).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_new =
        |job: &Job| job.created_at.and_then(|created| created.to_system_time()).is_none_or(|created| created >= since);
    // A resource has a hundred jobs at most, and their order is not to be relied on: all are looked at.
    let found = jobs.list().stream().try_filter(|job| std::future::ready(is_new(job) && wanted.may_be(job)));
    found.try_collect().await
}
