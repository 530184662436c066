//! Jobs, events, checkpoints and result files as they are by now, in the service's shapes.

use serde_json::{Value, json};

use super::timeline::{self, Status, Timeline};
use super::{Job, curve};
use crate::clock::Millis;
use crate::id;
use crate::surface::Surface;
use crate::world::World;

pub(crate) struct View<'w> {
    pub(crate) job: &'w Job,
    pub(crate) timeline: Timeline,
}

/// A file that exists because a job has succeeded. It is written when it is read.
pub(crate) struct ResultFile<'w> {
    pub(crate) id: String,
    pub(crate) created: Millis,
    job: &'w Job,
}

impl ResultFile<'_> {
    pub(crate) fn content(&self) -> String {
        curve::csv(self.job)
    }

    pub(crate) fn bytes(&self) -> u64 {
        *self.job.result_bytes.get_or_init(|| self.content().len() as u64)
    }
}

/// All jobs by now, oldest first.
pub(crate) fn all(world: &World, now: Millis) -> Vec<View<'_>> {
    let timelines = timeline::all(&world.jobs, now);
    world.jobs.iter().zip(timelines).map(|(job, timeline)| View { job, timeline }).collect()
}

pub(crate) fn results<'w>(world: &'w World, now: Millis) -> Vec<ResultFile<'w>> {
    let result = |view: View<'w>| {
        let created = view.timeline.since(Status::Succeeded)?;
        let id = view.result_id();
        (!world.deleted_results.contains(&id)).then_some(ResultFile { id, created, job: view.job })
    };
    all(world, now).into_iter().filter_map(result).collect()
}

/// The models that jobs have made, with when.
pub(crate) fn tuned(world: &World, now: Millis) -> Vec<(String, Millis)> {
    let tuned = |view: &View<'_>| Some((view.tuned_model()?, view.timeline.since(Status::Succeeded)?));
    all(world, now).iter().filter_map(tuned).collect()
}

/// Whether there is a checkpoint with this id, or one that is this model.
pub(crate) fn has_checkpoint(world: &World, now: Millis, wanted: &str) -> bool {
    let is_wanted = |checkpoint: &Value| {
        ["id", "fine_tuned_model_checkpoint"]
            .iter()
            .any(|name| checkpoint.get(*name).and_then(Value::as_str) == Some(wanted))
    };
    all(world, now).iter().any(|view| view.checkpoints().iter().any(is_wanted))
}

impl View<'_> {
    pub(crate) fn result_id(&self) -> String {
        id::made("file", &format!("results of {}", self.job.id))
    }

    pub(crate) fn tuned_model(&self) -> Option<String> {
        self.timeline.since(Status::Succeeded).map(|_| self.tuned_name())
    }

    fn tuned_name(&self) -> String {
        let digits = self.job.id.split_once('-').map_or(self.job.id.as_str(), |(_, digits)| digits);
        let suffix = self.job.suffix.as_ref().map(|suffix| format!("-{suffix}")).unwrap_or_default();
        format!("{}.ft-{digits}{suffix}", self.job.model)
    }

    pub(crate) fn json(&self, surface: &Surface) -> Value {
        let job = self.job;
        let status = self.timeline.status();
        let mut shown = job.request.clone();
        let began = self.timeline.since(Status::Running).is_some();
        let hyperparameters = if began {
            json!({ "n_epochs": job.epochs, "batch_size": job.batch, "learning_rate_multiplier": 1 })
        } else {
            json!({ "n_epochs": -1, "batch_size": -1, "learning_rate_multiplier": 1 })
        };
        let succeeded = status == Status::Succeeded;
        let trained = succeeded.then(|| job.lines.saturating_mul(job.epochs).saturating_mul(160));
        let error = job.trouble.as_ref().filter(|_| status == Status::Failed);
        let error = error.map(|(code, message, param)| json!({ "code": code, "message": message, "param": param }));
        for (name, value) in [
            ("id", json!(job.id)),
            ("object", json!("fine_tuning.job")),
            ("model", json!(job.model)),
            ("status", json!(status.as_str())),
            ("created_at", json!(job.created / 1000)),
            ("finished_at", json!(self.timeline.ended().map(|at| at / 1000))),
            ("estimated_finish", json!(self.timeline.estimate.map(|at| at / 1000))),
            ("hyperparameters", hyperparameters),
            ("fine_tuned_model", json!(self.tuned_model())),
            ("result_files", if succeeded { json!([self.result_id()]) } else { Value::Null }),
            ("trained_tokens", json!(trained)),
            ("seed", json!(job.seed)),
            ("organization_id", Value::Null),
            ("error", json!(error)),
            (surface.suffix_name(), json!(job.suffix)),
        ] {
            shown.insert(name.to_owned(), value);
        }
        for name in ["validation_file", "integrations"] {
            shown.entry(name).or_insert(Value::Null);
        }
        Value::Object(shown)
    }

    /// Newest first, as the service lists them.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut events: Vec<(Millis, &str, String, Option<Value>)> = Vec::new();
        let mut say = |at, level, text: String| events.push((at, level, text, None));
        say(self.job.created, "info", "Job enqueued. Waiting for jobs ahead to complete.".to_owned());
        for (at, status) in &self.timeline.states {
            match status {
                Status::Pending | Status::Pausing | Status::Resuming => {}
                Status::Running => say(*at, "info", "Job started.".to_owned()),
                Status::Paused => say(*at, "info", "Job paused.".to_owned()),
                Status::Cancelled => say(*at, "info", "Job cancelled.".to_owned()),
                Status::Failed => {
                    let why = self.job.trouble.as_ref().map(|(_, message, _)| message.clone()).unwrap_or_default();
                    say(*at, "error", format!("Job failed. {why}"));
                }
                Status::Succeeded => {
                    let hours = self.timeline.trained() as f64 / 3_600_000.0;
                    say(*at, "info", "Job succeeded.".to_owned());
                    say(*at, "info", "Postprocessing started.".to_owned());
                    say(*at, "info", format!("Completed results file: {}", self.result_id()));
                    say(*at, "info", format!("Training hours billed: {hours:.3}"));
                }
            }
        }
        for step in 1..=self.timeline.steps() {
            let Some(at) = self.timeline.step_at(step) else { break };
            let data = curve::metrics(self.job, step);
            let loss = data.get("train_loss").cloned().unwrap_or_default();
            events.push((at, "info", format!("Step {step}: training loss={loss}"), Some(Value::Object(data))));
        }
        // Stable: what happened at one moment stays in the order of its causes.
        events.sort_by_key(|(at, ..)| *at);
        let shown = events.into_iter().enumerate().map(|(number, (at, level, message, data))| {
            let kind = if data.is_some() { "metrics" } else { "message" };
            json!({
                "id": id::made("ftevent", &format!("{} {number}", self.job.id)),
                "object": "fine_tuning.job.event", "created_at": at / 1000, "level": level, "type": kind,
                "message": message, "data": data,
            })
        });
        let mut shown: Vec<Value> = shown.collect();
        shown.reverse();
        shown
    }

    /// One at the end of each epoch, and one where a pause found the job; newest first.
    pub(crate) fn checkpoints(&self) -> Vec<Value> {
        let (done, all) = (self.timeline.steps(), self.job.steps());
        let mut steps: Vec<u64> = (1..=self.job.epochs.max(1)).map(|epoch| epoch * self.job.steps_of_epoch()).collect();
        if let Some(last) = steps.last_mut() {
            *last = all;
        }
        steps.retain(|step| *step <= done);
        if self.timeline.since(Status::Paused).is_some() && done > 0 && !steps.contains(&done) && done < all {
            steps.push(done);
        }
        let checkpoint = |step: &u64| {
            let is_last = *step == all;
            let name = self.tuned_name();
            let name = if is_last { name } else { format!("{name}:ckpt-step-{step}") };
            let mut metrics = curve::metrics(self.job, *step);
            metrics.insert("step".to_owned(), json!(*step as f64));
            json!({
                "id": id::made("ftchkpt", &format!("{} {step}", self.job.id)),
                "object": "fine_tuning.job.checkpoint",
                "created_at": self.timeline.step_at(*step).unwrap_or(self.job.created) / 1000,
                "fine_tuned_model_checkpoint": name, "step_number": step, "fine_tuning_job_id": self.job.id,
                "metrics": metrics,
            })
        };
        steps.iter().rev().map(checkpoint).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Seed, demo};

    #[test]
    fn a_list_of_files_writes_no_result_twice() {
        let world = demo::world(Seed::Demo, 0);
        let kept = || world.jobs.iter().filter_map(|job| job.result_bytes.get().copied()).collect::<Vec<_>>();
        let results = super::results(&world, 0);
        assert_eq!((results.len(), kept()), (1, vec![]), "none was written");
        let bytes = results[0].bytes();
        assert_eq!((bytes, kept()), (results[0].content().len() as u64, vec![bytes]));
    }
}
