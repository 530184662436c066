//! What the client costs: calls per second over kept connections, and memory while large files are streamed.
//!
//! `cargo run --release -p azure-finetuning --example throughput -- [CALLS [MIB]]` starts the emulator as a process of its own, so
//! that only the client's memory is measured. 10,000 calls and 1,024 MiB if nothing else is said; files go through the folder that
//! `TMPDIR` names.

use std::io::{BufRead as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use azure_finetuning::{Client, FileId, FilePurpose, JobId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the emulator has to be told to be its own process.
const SERVE: &str = "serve";

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let Err(error) = run().await else { return std::process::ExitCode::SUCCESS };
    eprintln!("{}", told(&*error));
    std::process::ExitCode::FAILURE
}

/// An error and its causes on one line: each says its own part only.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, folder] = &*arguments
        && serve == SERVE
    {
        return self::serve(folder).await;
    }
    let number = |at: usize, otherwise: u64| arguments.get(at).map_or(Ok(otherwise), |text| text.parse());
    let (calls, mib) = (number(0, 10_000)?, number(1, 1024)?);
    let folder = tempfile::tempdir()?;
    let mut service = Command::new(std::env::current_exe()?);
    let service = service.arg(SERVE).arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut service = service.spawn()?;
    let mut said = std::io::BufReader::new(service.stdout.take().ok_or("no output")?).lines();
    let (url, key) = (said.next().ok_or("no address")??, said.next().ok_or("no key")??);
    let client = Client::builder().endpoint(url).api_key(key.into()).build()?;
    let measured = measure(&client, azure_emulator::demo::SUCCEEDED_JOB.parse()?, calls, mib, folder.path()).await?;
    // The emulator ends with its input, and says what it saw.
    drop(service.stdin.take());
    let connections = said.next().ok_or("no connections")??;
    service.wait()?;
    measured.print(calls, mib);
    println!("connections       {connections}");
    Ok(())
}

async fn serve(folder: &str) -> Result<(), Failure> {
    let service = azure_emulator::Emulator::builder().manual_clock().directory(folder).start().await?;
    println!("{}\n{}", service.url(), service.key());
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    println!("{}", connections(&service));
    Ok(())
}

/// How many connections the requests so far came on.
pub(crate) fn connections(service: &azure_emulator::Running) -> usize {
    service.journal().iter().map(|request| request.connection).collect::<std::collections::HashSet<_>>().len()
}

/// What was measured. Memory is the highest that the process has ever held in RAM, in KiB.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) one_by_one: Duration,
    pub(crate) sixteen_at_once: Duration,
    pub(crate) memory_after_calls: u64,
    pub(crate) upload: Duration,
    pub(crate) memory_after_upload: u64,
    pub(crate) download: Duration,
    pub(crate) memory_after_download: u64,
}

impl Measured {
    fn print(&self, calls: u64, mib: u64) {
        let rate = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
        println!("calls             {calls} one by one, {:.0}/s", rate(calls, self.one_by_one));
        println!("                  {calls} sixteen at once, {:.0}/s", rate(calls, self.sixteen_at_once));
        println!("upload            {mib} MiB, {:.0} MiB/s", rate(mib, self.upload));
        println!("download          {mib} MiB, {:.0} MiB/s", rate(mib, self.download));
        println!("peak RSS          {} KiB after the calls", self.memory_after_calls);
        println!("                  {} KiB after the upload", self.memory_after_upload);
        println!("                  {} KiB after the download", self.memory_after_download);
    }
}

pub(crate) async fn measure(
    client: &Client,
    job: JobId,
    calls: u64,
    mib: u64,
    folder: &std::path::Path,
) -> Result<Measured, Failure> {
    let began = Instant::now();
    for _ in 0..calls {
        client.jobs().get(&job).await?;
    }
    let one_by_one = began.elapsed();
    let began = Instant::now();
    let jobs = client.jobs();
    stream::iter(0..calls).map(|_| jobs.get(&job)).buffer_unordered(16).try_for_each(async |_| Ok(())).await?;
    let sixteen_at_once = began.elapsed();
    let memory_after_calls = memory()?;

    let path = folder.join("large.jsonl");
    let mut file = tokio::fs::File::create(&path).await?;
    let line = format!("{}\n", "x".repeat(1023)).repeat(1024);
    for _ in 0..mib {
        file.write_all(line.as_bytes()).await?;
    }
    file.flush().await?;
    drop(file);
    let began = Instant::now();
    let id: FileId = client.files().upload(&path, FilePurpose::Batch).await?.id;
    let (upload, memory_after_upload) = (began.elapsed(), memory()?);
    let began = Instant::now();
    let downloaded = client.files().content(&id).await?.write_to(&mut tokio::io::sink(), mib << 20).await?;
    if downloaded != mib << 20 {
        return Err(format!("{downloaded} bytes came back").into());
    }
    let (download, memory_after_download) = (began.elapsed(), memory()?);
    Ok(Measured {
        one_by_one,
        sixteen_at_once,
        memory_after_calls,
        upload,
        memory_after_upload,
        download,
        memory_after_download,
    })
}

/// The highest that this process has ever held in RAM, in KiB.
fn memory() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
