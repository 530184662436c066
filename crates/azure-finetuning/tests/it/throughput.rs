//! Many calls over few connections, and large files through little memory: `examples/throughput.rs`, made small.

use std::process::Stdio;

use azure_emulator::Emulator;
use azure_finetuning::Client;

#[path = "../../examples/throughput.rs"]
#[expect(dead_code, reason = "an example is a program of its own")]
mod example;

/// Where [`client_alone`] finds the service, as `URL KEY FOLDER`.
const SERVICE: &str = "AZURE_FINETUNING_TEST_SERVICE";

const CALLS: u64 = 100;
const MIB: u64 = 32;

#[tokio::test]
async fn many_calls_share_connections_and_large_files_are_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let service = Emulator::builder().manual_clock().directory(folder.path()).start().await.unwrap();
    // The client is a process of its own: this very program, with only the test below.
    let mut client = tokio::process::Command::new(std::env::current_exe().unwrap());
    client.args(["--exact", "throughput::client_alone", "--nocapture"]).stdin(Stdio::null());
    client.env(SERVICE, format!("{} {} {}", service.url(), service.key(), folder.path().display()));
    let output = client.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(service.journal().len() as u64, 2 * CALLS + 2);
    let connections = example::connections(&service);
    assert!((1..=16 + 1).contains(&connections), "{connections} connections");
}

/// Nothing by itself: the test above runs it with the environment it needs.
#[tokio::test]
async fn client_alone() {
    let Ok(service) = std::env::var(SERVICE) else { return };
    let [url, key, folder] = service.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let client = Client::builder().endpoint(url).api_key(key.to_owned().into()).build().unwrap();
    let job = azure_emulator::demo::SUCCEEDED_JOB.parse().unwrap();
    let measured = example::measure(&client, job, CALLS, MIB, folder.as_ref()).await.unwrap();
    let grown = measured.memory_after_download - measured.memory_after_calls;
    assert!(grown < MIB * 1024 / 3, "{measured:?}");
}
