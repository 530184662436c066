//! Operations on fine-tuning jobs.

mod follow;
mod metrics;
mod recent;
mod summary;
pub(crate) mod wait;

pub use follow::FollowOptions;
pub use metrics::MetricsTable;
pub use summary::{Measured, MetricsSummary};
pub use wait::{WaitOptions, WhenPaused};

use std::time::SystemTime;

use futures_util::stream::BoxStream;

use crate::client::Client;
use crate::create_job::CreateJob;
use crate::error::Error;
use crate::id::JobId;
use crate::model::{Checkpoint, Event, Job, JobStatus};
use crate::pages::List;
use crate::transport::{Body, Call};

/// Operations on fine-tuning jobs. From [`Client::jobs`].
#[derive(Clone, Debug)]
pub struct Jobs {
    client: Client,
}

impl Client {
    /// Operations on fine-tuning jobs.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs { client: self.clone() }
    }
}

impl Jobs {
    /// Creates a job, which costs money from then on (`POST /fine_tuning/jobs`).
    ///
    /// # Errors
    /// [`Error::Ambiguous`] when the job may exist although no answer came: look for it with [`Jobs::find_recent`] before
    /// creating it again. Only what surely was not begun is repeated by itself.
    pub async fn create(&self, job: &CreateJob) -> Result<Job, Error> {
        let body = Body::Json(job.to_json(self.client.surface()).to_string().into());
        self.client.json(Call::create("jobs.create", self.client.url(&["fine_tuning", "jobs"]), body)).await
    }

    /// The jobs that may be what became of `job`, created since `since`: after [`Error::Ambiguous`], with the time before the
    /// attempt. A suffix or metadata that no other job has makes the answer sure.
    ///
    /// A job counts unless its training file, suffix or metadata are others, or it is more than a minute older (two clocks
    /// differ): rather one too many here than a training twice.
    ///
    /// # Errors
    /// [`Error`], as for any list; [`Error::Decode`] for a job that cannot be read and is not older, for it may be the one.
    pub async fn find_recent(&self, job: &CreateJob, since: SystemTime) -> Result<Vec<Job>, Error> {
        recent::find(self, job, since).await
    }

    /// All jobs of the resource (`GET /fine_tuning/jobs`).
    pub fn list(&self) -> List<Job> {
        List::new(self.client.clone(), "jobs.list", self.client.url(&["fine_tuning", "jobs"]))
    }

    /// One job (`GET /fine_tuning/jobs/{id}`).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such job.
    pub async fn get(&self, id: &JobId) -> Result<Job, Error> {
        self.client.json(Call::get("jobs.get", self.url(id, &[]))).await
    }

    /// Ends a job; its work is lost, its cost so far is not (`POST /fine_tuning/jobs/{id}/cancel`).
    ///
    /// # Errors
    /// [`Error::Api`] with code `unexpectedEntityState` when the job has ended otherwise.
    pub async fn cancel(&self, id: &JobId) -> Result<Job, Error> {
        let wanted = |status: &JobStatus| *status == JobStatus::Cancelled;
        self.change(id, "jobs.cancel", "cancel", wanted).await
    }

    /// Pauses a running job that has done at least one step (`POST /fine_tuning/jobs/{id}/pause`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] on dated API versions without it, [`Error::Api`] when the job does not run.
    pub async fn pause(&self, id: &JobId) -> Result<Job, Error> {
        self.can_pause("jobs.pause")?;
        let wanted = |status: &JobStatus| matches!(status, JobStatus::Pausing | JobStatus::Paused);
        self.change(id, "jobs.pause", "pause", wanted).await
    }

    /// Lets a paused job run again, which costs again (`POST /fine_tuning/jobs/{id}/resume`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] on dated API versions without it, [`Error::Api`] when the job is not paused.
    pub async fn resume(&self, id: &JobId) -> Result<Job, Error> {
        self.can_pause("jobs.resume")?;
        let wanted = |status: &JobStatus| matches!(status, JobStatus::Resuming | JobStatus::Running);
        self.change(id, "jobs.resume", "resume", wanted).await
    }

    /// Deletes a job from the list (`DELETE /fine_tuning/jobs/{id}`). Only dated API versions have this.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on the v1 surface.
    pub async fn delete(&self, id: &JobId) -> Result<(), Error> {
        if !self.client.surface().is_dated() {
            return Err(self.client.unsupported("jobs.delete"));
        }
        self.client.json::<serde::de::IgnoredAny>(Call::delete("jobs.delete", self.url(id, &[]))).await.map(drop)
    }

    /// What happened to a job so far (`GET /fine_tuning/jobs/{id}/events`), in no order to rely on.
    /// [`Jobs::follow_events`] brings order, and what is yet to come.
    pub fn events(&self, id: &JobId) -> List<Event> {
        List::new(self.client.clone(), "jobs.events", self.url(id, &["events"]))
    }

    /// The checkpoints of a job (`GET /fine_tuning/jobs/{id}/checkpoints`).
    pub fn checkpoints(&self, id: &JobId) -> List<Checkpoint> {
        List::new(self.client.clone(), "jobs.checkpoints", self.url(id, &["checkpoints"]))
    }

    /// The metrics of a job that has ended, from its result files; no rows before that.
    ///
    /// # Errors
    /// [`Error::Csv`] when a result file is not a table, [`Error::TooLarge`] beyond 64 MiB,
    /// [`Error::TableTooLarge`] when its rows would take more than 256 MiB of memory.
    pub async fn metrics(&self, job: &Job) -> Result<MetricsTable, Error> {
        metrics::read(&self.client.files(), job).await
    }

    /// Asks for a job again and again until it has ended, well or not: look at [`Job::status`].
    ///
    /// # Errors
    /// [`Error::Deadline`] when that takes longer than [`WaitOptions::deadline`]; the job goes on.
    pub async fn wait_until_done(&self, id: &JobId, options: WaitOptions) -> Result<Job, Error> {
        let is_over = |job: &Job| {
            job.status.is_terminal() || (job.status == JobStatus::Paused && options.when_paused == WhenPaused::Return)
        };
        wait::until("jobs.wait_until_done", options, || self.get(id), is_over).await
    }

    /// The events of a job, each once, until the job has ended and nothing is left to tell. What is new at one look comes
    /// oldest first. After the end of the job was seen, there is one more look an interval later: the service may have more to tell then,
    /// such as what was billed.
    ///
    /// Ends after an error that asking again does not help, or after too many in a row that it does
    /// ([`FollowOptions::tolerance`]).
    #[must_use]
    pub fn follow_events(&self, id: &JobId, options: FollowOptions) -> BoxStream<'static, Result<Event, Error>> {
        follow::events(self.clone(), id.clone(), options)
    }

    /// Asks for a state. A refusal because the job is in that state already, perhaps from an earlier attempt, is a success.
    async fn change(
        &self,
        id: &JobId,
        operation: &'static str,
        verb: &str,
        wanted: impl Fn(&JobStatus) -> bool,
    ) -> Result<Job, Error> {
        let refused = match self.client.json(Call::post(operation, self.url(id, &[verb]))).await {
            Ok(job) => return Ok(job),
            Err(error) => error,
        };
        let is_conflict = |code: Option<&str>, status| status == 409 || code == Some("unexpectedEntityState");
        if !refused.api().is_some_and(|error| is_conflict(error.code.as_deref(), error.status)) {
            return Err(refused);
        }
        match self.get(id).await {
            Ok(job) if wanted(&job.status) => Ok(job),
            _ => Err(refused),
        }
    }

    fn can_pause(&self, operation: &'static str) -> Result<(), Error> {
        if self.client.surface().can_pause() { Ok(()) } else { Err(self.client.unsupported(operation)) }
    }

    fn url(&self, id: &JobId, tail: &[&str]) -> url::Url {
        self.client.url(&[&["fine_tuning", "jobs", id.as_str()], tail].concat())
    }
}
