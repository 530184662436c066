//! What arrives where it was sent to, over loopback; what is tried again, and what is not.

use std::io::Write;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{AskBounds, Asked, Store, Vote};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::Vault;
use crate::config::{Config, ConfigFile, Layers};

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const LONG: Duration = Duration::from_secs(30);

/// A name that would speak, turn around, and hide.
const HOSTILE: &str = "x <!channel> @channel & *b* `c` <https://evil.example|click>\n\u{202e}evil\u{200b}\u{7}";

/// Where calls wait, and who is told.
struct Desk {
    approvals: Approvals,
    store: Store,
    notifier: Notifier,
    _folder: TempDir,
}

impl Desk {
    /// `toml` is of the channel `ops`.
    async fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("toolgate.toml");
        std::fs::write(&file, format!("[approvals]\nurl = \"https://gate.example/x\"\n[approvals.notify.ops]\n{toml}"))
            .unwrap();
        let config = Config::load(&Layers { file: ConfigFile::Required(file), ..Layers::default() });
        let Config { approvals: settings, live, .. } = config.unwrap_or_else(|error| panic!("{error}"));
        let store = Store::open(&format!("sqlite:{}", folder.path().join("toolgate.db").display())).await.unwrap();
        let notifier = Notifier::new(&settings.notify, &Tls::of_system().unwrap()).unwrap();
        let vault = Arc::new(Vault::fresh().unwrap());
        let live = tokio::sync::watch::channel(live).1;
        let approvals = Approvals::new(&settings, live, Some(store.clone()), "http://127.0.0.1:1", vault).unwrap();
        Self { approvals, store, notifier, _folder: folder }
    }

    async fn ask(&self, id: &str, asked: &Asked) {
        let bounds = AskBounds { per_agent: 9, per_server: 9, per_hour: 9 };
        let now = self.approvals.clock.now_ms();
        self.store.ask_approval(id, asked, now + 900_000, &bounds, &self.approvals.targets(), now).await.unwrap();
    }

    /// Sends what is due now: how much it was.
    async fn round(&self) -> usize {
        self.notifier.0[0].round(&self.approvals, &self.store).await
    }

    /// What is still to be told, whenever: how often it was tried.
    async fn owed(&self) -> Vec<i64> {
        let much_later = self.approvals.clock.now_ms() + 800_000;
        let owed = self.store.due_notices("ops", much_later, 0, 9).await.unwrap();
        owed.into_iter().map(|notice| notice.attempt - 1).collect()
    }
}

fn asked(subject: &str) -> Asked {
    Asked {
        binding: Sha256::digest(subject).into(),
        agent: "alice".to_owned(),
        owner: None,
        server: "github".to_owned(),
        method: "tools/call".to_owned(),
        subject: subject.to_owned(),
        arguments: "{\"n\": 1.50, \"planted\": \"hush\"}".to_owned(),
        digest: "abc".to_owned(),
        definition: None,
        policy: "p".to_owned(),
        rule: "tools.x".to_owned(),
        reason: Some("it deletes".to_owned()),
        approvers: vec!["ops".to_owned()],
        quorum: 2,
        self_approval: false,
    }
}

/// A request as it came: the head in lower case, and the body.
type Request = (String, String);

/// Answers each request with the next of `answers`, and then with the last.
async fn receiver(answers: &'static [&'static str]) -> (u16, mpsc::UnboundedReceiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (took, taken) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = request(&mut stream).await;
            let answer = answers[n.min(answers.len() - 1)];
            stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
            _ = took.send(request);
        }
    });
    (port, taken)
}

async fn request(stream: &mut TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).await.unwrap();
    }
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn webhook(port: u16, more: &str) -> String {
    format!("kind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/planted-hush\"\nsecret = \"whsec_{KEY}\"\n{more}")
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.split(&format!("\r\n{name}: ")).nth(1).unwrap().split("\r\n").next().unwrap()
}

async fn next<T>(taken: &mut mpsc::UnboundedReceiver<T>) -> T {
    timeout(LONG, taken.recv()).await.expect("it comes").unwrap()
}

#[tokio::test]
async fn a_webhook_says_what_waits_and_is_signed() {
    let (port, mut taken) = receiver(&["204 No Content"]).await;
    let desk = Desk::new(&webhook(port, "")).await;
    desk.ask("a1", &asked(HOSTILE)).await;
    assert_eq!(desk.round().await, 1);
    let (head, body) = next(&mut taken).await;
    assert!(head.starts_with("post /planted-hush http/1.1\r\n"), "{head}");
    let (id, time) = (header(&head, "webhook-id"), header(&head, "webhook-timestamp"));
    assert_eq!(id, "approval_a1_ops");
    let age = desk.approvals.clock.now_ms() / 1000 - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age}");
    // Base64 has capitals, and the head was put in small letters.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let tag = STANDARD.encode(hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes()));
    assert_eq!(header(&head, "webhook-signature"), format!("v1,{tag}").to_lowercase());

    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(event["type"], "approval.requested");
    let data = &event["data"];
    assert_eq!(data["subject"], HOSTILE);
    assert_eq!((&data["id"], &data["agent"], &data["server"]), (&"a1".into(), &"alice".into(), &"github".into()));
    assert_eq!((&data["reason"], &data["quorum"]), (&"it deletes".into(), &2.into()));
    assert_eq!(data["url"], "https://gate.example/x/approvals/a1");
    assert!(data.get("arguments").is_none() && !body.contains("planted"), "{body}");
    assert_eq!(desk.owed().await, [0; 0]);
    assert_eq!(desk.round().await, 0, "once");
}

/// The example of the specification.
#[test]
fn a_signature_is_as_standard_webhooks_has_it() {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let approval = store_approval();
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned();
    let told = Told { approval: &approval, url: "", id, now_ms: 1_614_265_330_123 };
    let headers = webhook::sign(&key, &told, "{\"test\": 2432232314}");
    assert_eq!(
        headers,
        [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
            ("webhook-timestamp", "1614265330".to_owned()),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()),
        ]
    );
}

fn store_approval() -> Approval {
    Approval {
        id: "a1".to_owned(),
        asked: asked("x"),
        state: ApprovalState::Pending,
        created_ms: 0,
        expires_ms: 1000,
        decided_ms: None,
        used_ms: None,
        asks: 1,
        round: 0,
        votes: Vec::new(),
    }
}

#[tokio::test]
async fn arguments_go_along_as_they_came_if_the_operator_wants_that() {
    let (port, mut taken) = receiver(&["200 OK"]).await;
    let desk = Desk::new(&webhook(port, "arguments = true")).await;
    desk.ask("a1", &asked("x")).await;
    desk.round().await;
    let (_, body) = next(&mut taken).await;
    assert!(body.contains("\"arguments\":{\"n\": 1.50, \"planted\": \"hush\"},"), "{body}");
}

#[tokio::test]
async fn what_fails_for_now_is_tried_again_with_the_same_id() {
    let (port, mut taken) = receiver(&["503 Away", "200 OK"]).await;
    let desk = Arc::new(Desk::new(&webhook(port, "approver = \"root\"")).await);
    let keeping = Arc::clone(&desk);
    let keeper = tokio::spawn(async move { keeping.notifier.keep(&keeping.approvals).await });
    desk.ask("a1", &asked("x")).await;
    let first = next(&mut taken).await;
    let second = next(&mut taken).await;
    assert_eq!(header(&first.0, "webhook-id"), header(&second.0, "webhook-id"));
    // Each has a key of its own, and both are good, for one decision each.
    for (_, body) in [&first, &second] {
        let event: Value = serde_json::from_str(body).unwrap();
        let (page, key) = event["data"]["url"].as_str().unwrap().split_once('#').unwrap();
        assert_eq!((page, key.len()), ("https://gate.example/x/approvals/a1", 43));
        let (sha256, now) = (Sha256::digest(key).into(), desk.approvals.clock.now_ms());
        let whose = Some(("a1".to_owned(), "root".to_owned()));
        assert_eq!(desk.store.approval_link(&sha256, now).await.unwrap(), whose, "to look uses nothing");
        assert_eq!(desk.store.use_approval_link(&sha256, now).await.unwrap(), whose);
        assert_eq!(desk.store.use_approval_link(&sha256, now).await.unwrap(), None);
    }
    assert_ne!(first.1, second.1);
    keeper.abort();
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again_and_no_redirect_is_followed() {
    for answer in [&["404 Gone"], &["302 There\r\nlocation: /elsewhere"], &["400 Bad"]] {
        let (port, mut taken) = receiver(answer).await;
        let desk = Desk::new(&webhook(port, "")).await;
        desk.ask("a1", &asked("x")).await;
        assert_eq!(desk.round().await, 1);
        next(&mut taken).await;
        assert_eq!(desk.owed().await, [0; 0], "{answer:?}");
        assert!(taken.try_recv().is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn who_asks_for_time_gets_it_and_what_comes_too_late_is_given_up() {
    let (port, _taken) = receiver(&["429 Slowly\r\nretry-after: 120"]).await;
    let desk = Desk::new(&webhook(port, "")).await;
    desk.ask("a1", &asked("x")).await;
    desk.round().await;
    let soon = desk.approvals.clock.now_ms() + 110_000;
    assert_eq!(desk.store.due_notices("ops", soon, 0, 9).await.unwrap(), []);
    assert_eq!(desk.owed().await, [1]);

    // This one ends before the receiver wants to be asked again.
    let bounds = AskBounds { per_agent: 9, per_server: 9, per_hour: 9 };
    let now = desk.approvals.clock.now_ms();
    desk.store.ask_approval("a2", &asked("y"), now + 60_000, &bounds, &["ops"], now).await.unwrap();
    desk.store.notice_done("a1", "ops").await.unwrap();
    assert_eq!(desk.round().await, 1);
    assert_eq!(desk.owed().await, [0; 0]);
}

#[tokio::test]
async fn nobody_is_told_of_what_is_decided_already() {
    let (port, mut taken) = receiver(&["200 OK"]).await;
    let desk = Desk::new(&webhook(port, "")).await;
    desk.ask("a1", &asked("x")).await;
    let vote = Vote { by: "root".to_owned(), approve: false, reason: None, at_ms: desk.approvals.clock.now_ms() };
    desk.store.vote("a1", &vote, None).await.unwrap();
    assert_eq!(desk.round().await, 1);
    assert_eq!(desk.owed().await, [0; 0]);
    assert!(taken.try_recv().is_err());
}

#[tokio::test]
async fn an_address_that_no_server_may_have_is_not_connected_to() {
    let toml = format!("kind = \"webhook\"\nurl = \"https://169.254.169.254/\"\nsecret = \"{KEY}\"");
    let desk = Desk::new(&toml).await;
    desk.ask("a1", &asked("x")).await;
    let notice = desk.store.due_notices("ops", i64::MAX / 2, 0, 9).await.unwrap().remove(0);
    let told = desk.notifier.0[0].tell(&desk.approvals, &desk.store, &notice).await;
    let Err(Failure::Now(why, None)) = told else { panic!("{told:?}") };
    assert!(why.contains("169.254.169.254 is") && why.contains("not in `networks`"), "{why}");
}

#[tokio::test]
async fn a_chat_shows_hostile_names_as_text() {
    let (port, mut taken) = receiver(&["200 OK"]).await;
    let desk = Desk::new(&format!("kind = \"slack\"\nurl = \"http://127.0.0.1:{port}/\"\napprover = \"root\"")).await;
    let agent = "&".repeat(250);
    let hostile = Asked { agent, reason: Some("\u{202e}".repeat(2000)), ..asked(HOSTILE) };
    desk.ask("a1", &hostile).await;
    desk.round().await;
    let (_, body) = next(&mut taken).await;
    let message: Value = serde_json::from_str(&body).unwrap();
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with("A call waits for approval. <https://gate.example/x/approvals/a1#"), "{text}");
    assert!(text.ends_with("|Look and decide>") && !text.contains("channel") && !text.contains("evil"), "{text}");
    assert_eq!(message["link_names"], false);
    let details = &message["blocks"][1]["text"];
    assert_eq!((&details["type"], &details["emoji"]), (&"plain_text".into(), &false.into()));
    let details = details["text"].as_str().unwrap();
    assert!(details.len() < 3000, "Slack refuses more: {}", details.len());
    assert_eq!(details.matches(['<', '>']).count(), 0, "{details}");
    assert!(details.contains("x &lt;!channel&gt; @channel &amp; *b*"), "{details}");
    assert!(details.contains("\\u{a}\\u{202e}evil\\u{200b}\\u{7}"), "{details}");
    assert_eq!(details.lines().count(), 6, "no name makes a line: {details}");
    assert!(details.chars().all(|c| c == '\n' || !c.is_control()), "{details}");
}

/// Speaks just as much SMTP as a client needs. What it was told, line by line.
async fn mail_server(verdict: &'static str) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (took, taken) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            _ = serve_mail(stream, verdict, &took).await;
        }
    });
    (port, taken)
}

async fn serve_mail(mut stream: TcpStream, verdict: &str, took: &mpsc::UnboundedSender<String>) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.example ready\r\n").await?;
    let mut in_data = false;
    while let Some(line) = lines.next_line().await? {
        let answer = match &*line {
            "." if in_data => {
                in_data = false;
                verdict
            }
            _ if in_data => "",
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            line if line.starts_with("EHLO") => "250-mail.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            line if line.starts_with("AUTH") => "235 welcome",
            _ => "250 yes",
        };
        _ = took.send(line);
        if !answer.is_empty() {
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
    Ok(())
}

fn mail(port: u16) -> String {
    format!(
        "kind = \"mail\"\nurl = \"smtp://127.0.0.1:{port}\"\nfrom = \"Toolgate <toolgate@example.com>\"\n\
         to = [\"a@example.com\", \"b@example.com\"]\nusername = \"u\"\npassword = \"planted-hush\""
    )
}

#[tokio::test]
async fn a_mail_is_handed_to_the_mail_server() {
    let (port, mut taken) = mail_server("250 taken").await;
    let desk = Desk::new(&mail(port)).await;
    desk.ask("a1", &asked("delete_repo\r\nBcc: evil@example.com")).await;
    assert_eq!(desk.round().await, 1);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|last| last != "QUIT") {
        lines.push(next(&mut taken).await);
    }
    let has = |line: &str| lines.iter().any(|found| found == line);
    assert!(has(&format!("AUTH PLAIN {}", STANDARD.encode("\0u\0planted-hush"))), "{lines:#?}");
    assert!(has("MAIL FROM:<toolgate@example.com>"), "{lines:#?}");
    assert!(has("RCPT TO:<a@example.com>") && has("RCPT TO:<b@example.com>"), "{lines:#?}");
    assert!(has("Message-ID: <approval_a1_ops@toolgate.invalid>"), "{lines:#?}");
    assert!(has("https://gate.example/x/approvals/a1"), "{lines:#?}");
    assert!(has("Agent:   alice"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("Bcc") || line.contains("RCPT TO:<evil")), "{lines:#?}");
    assert_eq!(desk.owed().await, [0; 0]);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_now_is_tried_again_and_for_ever_is_not() {
    for (verdict, owed) in [("451 later", vec![1]), ("550 never", vec![])] {
        let (port, _taken) = mail_server(verdict).await;
        let desk = Desk::new(&mail(port)).await;
        desk.ask("a1", &asked("x")).await;
        assert_eq!(desk.round().await, 1);
        assert_eq!(desk.owed().await, owed, "{verdict}");
    }
}

/// What is written for the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_gets_into_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let (refusing, _first) = receiver(&["500 planted-hush", "404 planted-hush"]).await;
    let (mailing, _second) = mail_server("550 planted-hush").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let approver = "arguments = true\napprover = \"root\"";
    for (toml, said) in [
        (webhook(refusing, approver), "it answered 500"),
        (webhook(refusing, approver), "it answered 404"),
        (webhook(nobody, approver), "not told, yet"),
        (mail(mailing), "the mail server answered 550"),
    ] {
        let desk = Desk::new(&toml).await;
        desk.ask("a1", &asked("x")).await;
        assert_eq!(desk.round().await, 1);
        let logged = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        assert!(logged.contains(said), "{said}: {logged}");
        for secret in ["hush", KEY, "/approvals/a1#", &STANDARD.encode("\0u\0planted-hush")] {
            assert!(!logged.contains(secret), "{secret}: {logged}");
        }
    }
}

#[test]
fn pauses_grow_differ_and_end() {
    let within = |attempt, wanted, low, high| {
        let pause = pause(attempt, wanted).as_secs_f64();
        assert!((low..=high).contains(&pause), "{attempt}: {pause}");
    };
    within(1, None, 1.0, 2.0);
    within(2, None, 2.0, 4.0);
    within(8, None, 128.0, 256.0);
    within(9, None, 150.0, 300.0);
    within(i64::MAX, None, 150.0, 300.0);
    within(1, Some(Duration::from_secs(30)), 30.0, 30.0);
    within(1, Some(Duration::MAX), 600.0, 600.0);
}
