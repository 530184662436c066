//! A private Redis on a free port of loopback, which a test may flush, stop and kill.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::patiently;

/// The Redis that suites may share. None: those are skipped, and this says so by name.
pub fn redis_url(suite: &str) -> Option<String> {
    let url = std::env::var("TOOLGATE_TEST_REDIS_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        eprintln!("skipped: {suite} (set TOOLGATE_TEST_REDIS_URL, such as redis://127.0.0.1:6379)");
    }
    url
}

/// Ends with the test.
pub struct Redis {
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
    process: Child,
}

impl Redis {
    /// None where suites that need Redis are skipped. `options` as on the command line of `redis-server`.
    pub async fn start(suite: &str, options: &[&str]) -> Option<Self> {
        redis_url(suite)?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("toolgate-redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        // Redis takes no port 0: a free one may be taken by somebody else before it is there, and then there is another.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut redis = Self {
                port,
                process: spawn(port, &folder, &options),
                folder: folder.clone(),
                options: options.clone(),
            };
            if redis.is_there().await {
                return Some(redis);
            }
        }
        panic!("redis-server does not start (apt-get install redis-server)");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What it answers to a command, as it comes.
    pub async fn ask(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut answer = vec![0; 65_536];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// It runs no more, and keeps its connections.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// At once, without a word.
    pub fn kill(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }

    /// The same port and the same files.
    pub async fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.port, &self.folder, &self.options);
        assert!(self.is_there().await, "redis-server does not start again");
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status();
        assert!(told.unwrap().success());
    }

    async fn is_there(&mut self) -> bool {
        patiently("redis-server to start", async {
            loop {
                if self.process.try_wait().unwrap().is_some() {
                    return false;
                }
                if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                    let answer = self.ask(&["PING"]).await;
                    if answer.contains("PONG") || answer.contains("NOAUTH") {
                        return true;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &Path, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
    command.arg(folder).args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server starts (apt-get install redis-server)")
}
