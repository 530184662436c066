//! Whole stories, told by the client to the emulator: what a small server that answers as it is told cannot show.

use std::time::{Duration, SystemTime};

use azure_emulator::{Emulator, Fault, FaultAction, Running, demo};
use azure_finetuning::{
    Account, Client, ClientSecret, CopyState, CreateJob, Dpo, Error, FilePurpose, FileStatus, Grader, HttpMethod, Job,
    JobStatus, ManagedIdentity, ProvisioningState, Reinforcement, RetryPolicy, Sku, StringOperation, Supervised,
    UploadStatus, WaitOptions,
};
use futures_util::TryStreamExt as _;

use crate::support::quick;

const PREVIEW: &str = "2025-04-01-preview";
const TUNED: &str = "gpt-4.1-mini-2025-04-14.ft-0a1b2c3d4e5f60718293a4b5c6d7e8f9-support";

async fn service() -> Running {
    Emulator::builder().manual_clock().start().await.unwrap()
}

fn client(service: &Running, surface: &str) -> Client {
    let builder = Client::builder().endpoint(service.url()).api_key(service.key().to_owned().into());
    builder.surface(surface.parse().unwrap()).retry(quick()).build().unwrap()
}

fn supervised() -> CreateJob {
    let file = demo::TRAINING_FILE.parse().unwrap();
    CreateJob::supervised("gpt-4.1-mini".parse().unwrap(), file, Supervised::new()).suffix("mine".parse().unwrap())
}

fn grader() -> Grader {
    Grader::string_check("n", "{{ sample.output_text }}", "four", StringOperation::LikeIgnoringCase)
}

fn later(service: &Running, seconds: u64) {
    service.advance(Duration::from_secs(seconds));
}

fn sent(service: &Running, method: &str, path: &str) -> usize {
    service.journal().iter().filter(|request| request.method == method && request.path.ends_with(path)).count()
}

#[tokio::test]
async fn a_job_lives_on_both_surfaces() {
    for surface in ["v1", PREVIEW] {
        let service = service().await;
        let jobs = client(&service, surface).jobs();
        let status = async |job: &Job| jobs.get(&job.id).await.unwrap().status;
        // The demo's own running job is in the way.
        jobs.cancel(&demo::RUNNING_JOB.parse().unwrap()).await.unwrap();
        let job = jobs.create(&supervised()).await.unwrap();
        assert_eq!((job.status.clone(), job.suffix()), (JobStatus::Pending, Some("mine")), "{surface}");
        later(&service, 45);
        assert_eq!(status(&job).await, JobStatus::Running, "{surface}");
        assert_eq!(jobs.pause(&job.id).await.unwrap().status, JobStatus::Pausing, "{surface}");
        later(&service, 10);
        let waited = jobs.wait_until_done(&job.id, WaitOptions::default()).await.unwrap();
        assert_eq!(waited.status, JobStatus::Paused, "{surface}");
        assert_eq!(jobs.resume(&job.id).await.unwrap().status, JobStatus::Resuming, "{surface}");
        later(&service, 10_000);
        let done = jobs.wait_until_done(&job.id, WaitOptions::default()).await.unwrap();
        assert_eq!(done.status, JobStatus::Succeeded, "{surface}");
        let checkpoints: Vec<_> = jobs.checkpoints(&job.id).stream().try_collect().await.unwrap();
        assert!(!checkpoints.is_empty(), "{surface}");
        let table = jobs.metrics(&done).await.unwrap();
        assert!(table.summary().last_train_loss.unwrap().value < table.summary().first_train_loss.unwrap().value);
        assert!(jobs.cancel(&job.id).await.is_err(), "{surface}: it has ended");
        if surface == PREVIEW {
            jobs.delete(&job.id).await.unwrap();
            assert!(jobs.get(&job.id).await.unwrap_err().is_not_found());
        }
    }
}

#[tokio::test]
async fn every_method_is_taken() {
    let service = service().await;
    for surface in ["v1", PREVIEW] {
        let jobs = client(&service, surface).jobs();
        let (training, validation) = (demo::TRAINING_FILE.parse().unwrap(), demo::VALIDATION_FILE.parse().unwrap());
        let model = || "gpt-4.1-mini".parse().unwrap();
        let dpo = CreateJob::dpo(model(), demo::TRAINING_FILE.parse().unwrap(), Dpo::new());
        let reinforcement = CreateJob::reinforcement(
            "o4-mini-2025-04-16".parse().unwrap(),
            training,
            validation,
            Reinforcement::new(grader()),
        );
        for (job, kind) in [(dpo, "dpo"), (reinforcement, "reinforcement"), (supervised(), "supervised")] {
            let made = jobs.create(&job).await.unwrap();
            assert_eq!(
                made.method.map_or("supervised".to_owned(), |method| method.kind.to_string()),
                kind,
                "{surface}"
            );
        }
    }
}

#[tokio::test]
async fn lists_come_whole_and_events_once() {
    let service = service().await;
    let jobs = client(&service, "v1").jobs();
    let listed: Vec<_> = jobs.list().page_size(2).stream().try_collect().await.unwrap();
    assert_eq!(listed.len(), 5);
    let id = demo::SUCCEEDED_JOB.parse().unwrap();
    let whole: Vec<_> =
        jobs.follow_events(&id, azure_finetuning::FollowOptions::default()).try_collect().await.unwrap();
    assert_eq!(whole.len(), 45);
    assert!(whole.is_sorted_by_key(azure_finetuning::Event::order));
    for action in [FaultAction::ReverseOrder, FaultAction::RepeatCursor, FaultAction::ExtraFields] {
        inject(&service, "/events", 20, action.clone());
        let told: Vec<_> =
            jobs.follow_events(&id, azure_finetuning::FollowOptions::default()).try_collect().await.unwrap();
        let ids = |events: &[azure_finetuning::Event]| events.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&told), ids(&whole), "{action:?}");
        service.reset();
    }
}

fn inject(service: &Running, path: &str, times: u32, action: FaultAction) {
    service.inject(Fault { method: None, path: path.to_owned(), times, action });
}

#[tokio::test]
async fn files_and_uploads() {
    let service = service().await;
    for surface in ["v1", PREVIEW] {
        let client = client(&service, surface);
        let files = client.files();
        let file = files.upload_bytes("a.jsonl", "{}\n".repeat(20), FilePurpose::FineTune).await.unwrap();
        later(&service, 2);
        let ready = files.wait_until_processed(&file.id, WaitOptions::default()).await.unwrap();
        assert_eq!((ready.status, ready.bytes), (Some(FileStatus::Processed), Some(60)), "{surface}");
        assert_eq!(files.content(&file.id).await.unwrap().bytes(60).await.unwrap(), "{}\n".repeat(20));
        let listed: Vec<_> = files.list(Some(FilePurpose::FineTune)).stream().try_collect().await.unwrap();
        assert!(listed.iter().any(|found| found.id == file.id), "{surface}");
        files.delete(&file.id).await.unwrap();
        assert!(files.get(&file.id).await.unwrap_err().is_not_found(), "{surface}");

        let uploads = client.uploads();
        let upload = uploads.create("b.jsonl", FilePurpose::FineTune, 6).await.unwrap();
        let second = uploads.add_part(&upload.id, "{}\n").await.unwrap();
        let first = uploads.add_part(&upload.id, "[]\n").await.unwrap();
        let done = uploads.complete(&upload.id, &[first.id, second.id]).await.unwrap();
        assert_eq!(done.status, Some(UploadStatus::Completed), "{surface}");
        let content = files.content(&done.file.unwrap().id).await.unwrap().bytes(6).await.unwrap();
        assert_eq!(content, "[]\n{}\n", "{surface}");
        let upload = uploads.create("c.jsonl", FilePurpose::FineTune, 6).await.unwrap();
        assert_eq!(uploads.cancel(&upload.id).await.unwrap().status, Some(UploadStatus::Cancelled), "{surface}");
    }
    let url = "https://blob.example/a.jsonl";
    client(&service, PREVIEW).files().import("i.jsonl", url, FilePurpose::FineTune).await.unwrap();
}

#[tokio::test]
async fn a_large_file_goes_in_parts() {
    let service = service().await;
    let client = client(&service, "v1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jsonl");
    let content: String = (0..2_500).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    std::fs::write(&path, &content).unwrap();
    let size = 10_000.try_into().unwrap();
    // Answers that are lost cost a part more, not the upload.
    inject(&service, "/parts", 2, FaultAction::DropAnswer);
    let upload = client.uploads().upload(&path, FilePurpose::FineTune, size).await.unwrap();
    let file = upload.file.unwrap();
    assert_eq!(file.filename.as_deref(), Some("large.jsonl"));
    assert_eq!(client.files().content(&file.id).await.unwrap().bytes(1 << 20).await.unwrap(), content);
    assert_eq!(sent(&service, "POST", "/parts"), content.len().div_ceil(10_000) + 2);

    inject(&service, "/parts", 9, FaultAction::DropAnswer);
    let error = client.uploads().upload(&path, FilePurpose::FineTune, size).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error:?}");
    assert_eq!((sent(&service, "POST", "/complete"), sent(&service, "POST", "/cancel")), (1, 1));
    let error = client.uploads().upload("/nowhere/x", FilePurpose::FineTune, size).await.unwrap_err();
    assert!(matches!(error, Error::Io { operation: "uploads.upload", .. }), "{error:?}");
}

#[tokio::test]
async fn checkpoints_graders_and_models() {
    let service = service().await;
    let client = client(&service, "v1");
    let job = demo::SUCCEEDED_JOB.parse().unwrap();
    let checkpoints: Vec<_> = client.jobs().checkpoints(&job).stream().try_collect().await.unwrap();
    assert_eq!(checkpoints.len(), 3);
    let destination = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/dst";
    let copies = client.checkpoints();
    let copy = copies.copy(&job, &checkpoints[0].id, destination, "swedencentral").await.unwrap();
    assert_eq!(copy.copied_account_details[0].status, CopyState::InProgress);
    later(&service, 20);
    let copy = copies.copy_status(&job, &checkpoints[0].id).await.unwrap();
    assert_eq!(copy.copied_account_details[0].status, CopyState::Completed);

    assert_eq!(&client.graders().validate(&grader()).await.unwrap(), grader().as_json());
    assert_eq!(client.graders().run(&grader(), "Four", None).await.unwrap().reward, Some(1.0));

    let models: Vec<_> = client.models().list().stream().try_collect().await.unwrap();
    assert!(models.iter().any(|model| model.id.as_str() == TUNED));
    client.models().get(&TUNED.parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_model_is_deployed_with_the_tokens_of_an_identity() {
    let service = service().await;
    let secret = ClientSecret::new("tenant", "app", "secret".to_owned().into()).unwrap();
    let secret = secret.authority(service.url()).unwrap();
    let machine = ManagedIdentity::machine_at(&format!("{}/metadata/identity/oauth2/token", service.url())).unwrap();
    let builder = || Client::builder().endpoint(service.url()).management_endpoint(service.url()).retry(quick());
    for client in [builder().token_provider(secret), builder().token_provider(machine)] {
        let client = client.build().unwrap();
        client.jobs().get(&demo::SUCCEEDED_JOB.parse().unwrap()).await.unwrap();
        let deployments = client.deployments(Account::new("s", "g", "a").unwrap());
        let name = "d1".parse().unwrap();
        deployments.create(&name, &TUNED.parse().unwrap(), Sku::Standard, 1).await.unwrap();
        later(&service, 20);
        let wait = deployments.wait_until_ready(&name, Duration::from_millis(1), Duration::from_secs(60));
        assert_eq!(wait.await.unwrap().properties.provisioning_state, Some(ProvisioningState::Succeeded));
        deployments.delete(&name).await.unwrap();
        assert!(deployments.get(&name).await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn what_passes_is_waited_out() {
    let service = service().await;
    let jobs = client(&service, "v1").jobs();
    let id = demo::SUCCEEDED_JOB.parse().unwrap();
    let passing = [
        FaultAction::RetryAfter(0),
        FaultAction::RetryAfterMs(1),
        FaultAction::HttpDate(0),
        FaultAction::Status(500),
        FaultAction::Status(503),
        FaultAction::Html502,
        FaultAction::DropConnection,
        FaultAction::DropAnswer,
        FaultAction::TruncateBody,
    ];
    for action in passing {
        inject(&service, "/jobs", 2, action.clone());
        jobs.get(&id).await.unwrap_or_else(|error| panic!("{action:?}: {error:?}"));
    }
    inject(&service, "/jobs", 1, FaultAction::RetryAfter(86_400));
    let error = jobs.get(&id).await.unwrap_err();
    assert_eq!(error.api().unwrap().retry_after, Some(Duration::from_secs(86_400)));
    inject(&service, "/jobs", 1, FaultAction::UnknownStatus);
    assert_eq!(jobs.get(&id).await.unwrap().status, JobStatus::Unknown("meditating".to_owned()));
    inject(&service, "/content", 1, FaultAction::Base64);
    let job = jobs.get(&id).await.unwrap();
    assert!(!jobs.metrics(&job).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_key_does_not_follow_a_redirect() {
    let (service, elsewhere) = (service().await, service().await);
    inject(&service, "/jobs", 1, FaultAction::Redirect(format!("{}/openai/v1/fine_tuning/jobs", elsewhere.url())));
    let error = client(&service, "v1").jobs().list().page().await.unwrap_err();
    assert_eq!(error.api().unwrap().status, 307);
    assert_eq!(elsewhere.journal(), []);
}

#[tokio::test]
async fn a_training_is_never_bought_twice() {
    for action in [FaultAction::DropAnswer, FaultAction::TruncateBody] {
        let service = service().await;
        let jobs = client(&service, "v1").jobs();
        let since = SystemTime::now();
        inject(&service, "/fine_tuning/jobs", 1, action.clone());
        let error = jobs.create(&supervised()).await.unwrap_err();
        assert!(matches!(error, Error::Ambiguous { .. }), "{action:?}: {error:?}");
        assert_eq!(sent(&service, "POST", "/fine_tuning/jobs"), 1, "{action:?}");
        let found = jobs.find_recent(&supervised(), since).await.unwrap();
        assert_eq!(found.len(), 1, "{action:?}: {found:?}");
        assert_eq!(found[0].suffix(), Some("mine"));
    }
    // What surely was not begun is begun again.
    let service = service().await;
    let jobs = client(&service, "v1").jobs();
    let before = jobs.list().page_size(100).page().await.unwrap().data.len();
    inject(&service, "/fine_tuning/jobs", 2, FaultAction::RetryAfterMs(1));
    jobs.create(&supervised()).await.unwrap();
    assert_eq!(jobs.list().page_size(100).page().await.unwrap().data.len(), before + 1);
    assert_eq!(sent(&service, "POST", "/fine_tuning/jobs"), 3);
}

#[tokio::test]
async fn a_reader_may_not_write_and_a_wrong_key_may_nothing() {
    let service = service().await;
    let with = |key: &str| {
        let builder = Client::builder().endpoint(service.url()).api_key(key.to_owned().into());
        builder.retry(RetryPolicy::never()).build().unwrap().jobs()
    };
    let reader = with(service.reader_key());
    reader.get(&demo::SUCCEEDED_JOB.parse().unwrap()).await.unwrap();
    let error = reader.create(&supervised()).await.unwrap_err();
    assert_eq!(error.api().unwrap().status, 403);
    assert!(error.api().unwrap().request_id.is_some() && !error.is_retryable());
    let error = with("wrong").list().page().await.unwrap_err();
    assert_eq!((error.api().unwrap().status, error.api().unwrap().code.as_deref()), (401, Some("401")));
    let raw = azure_finetuning::RawRequest {
        method: HttpMethod::GET,
        path: ["openai", "v1", "models"].map(str::to_owned).to_vec(),
        query: Vec::new(),
        body: None,
    };
    assert!(client(&service, "v1").raw(raw).await.unwrap()["data"].is_array());
}

#[tokio::test]
async fn a_raw_creation_whose_answer_was_cut_is_ambiguous() {
    let service = service().await;
    let path = ["openai", "v1", "fine_tuning", "alpha", "graders", "validate"].map(str::to_owned).to_vec();
    let body = Some(serde_json::json!({ "grader": grader() }));
    let raw = |method, path| azure_finetuning::RawRequest { method, path, query: Vec::new(), body: body.clone() };
    let cut = || Fault { method: None, path: String::new(), times: 1, action: FaultAction::TruncateBody };
    service.inject(cut());
    let error = client(&service, "v1").raw(raw(HttpMethod::POST, path)).await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { operation: "raw", .. }) && !error.is_retryable(), "{error:?}");
    service.inject(cut());
    let path = ["openai", "v1", "models"].map(str::to_owned).to_vec();
    let error = client(&service, "v1").raw(raw(HttpMethod::GET, path)).await.unwrap_err();
    assert!(matches!(error, Error::Transport { operation: "raw", .. }) && error.is_retryable(), "{error:?}");
}
