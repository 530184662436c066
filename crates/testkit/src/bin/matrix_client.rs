//! rmcp as a client of many servers: `matrix_client ERA TARGETS`, with ERA `legacy` or `modern`.
//! TARGETS, the checks and the lines that are printed are as in `xtask/e2e/matrix.py`. rmcp has no HTTP+SSE of 2024-11-05.

use std::fmt::Display;
use std::io::Write;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, ElicitRequestParams,
    ElicitResult, ElicitationAction, ErrorData, Implementation, ProgressNotificationParam, ProtocolVersion,
    SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions, RequestContext, RoleClient,
    RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many targets are looked at together, by a legacy client; a modern one has to take turns (see `matrix.py`).
const TOGETHER: usize = 4;

/// How long connecting and each check may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Target {
    name: String,
    via: String,
    at: Value,
    prefix: String,
    policy: bool,
    checks: Vec<String>,
}

/// What the SDK calls back.
struct Callbacks {
    changed: Arc<Notify>,
    reports: mpsc::UnboundedSender<ProgressNotificationParam>,
}

/// A connected client.
struct Side<'a> {
    target: &'a Target,
    modern: bool,
    client: RunningService<RoleClient, Callbacks>,
    changed: Arc<Notify>,
    reports: Mutex<mpsc::UnboundedReceiver<ProgressNotificationParam>>,
}

/// Why a check failed.
type Outcome<T = ()> = Result<T, String>;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (era, targets) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let targets: Vec<Target> = match (era.as_str(), serde_json::from_str(&targets)) {
        ("legacy" | "modern", Ok(targets)) => targets,
        (_, parsed) => {
            say(format_args!("usage: matrix_client legacy|modern TARGETS {:?}", parsed.err()));
            return ExitCode::from(2);
        }
    };
    let together = Arc::new(Semaphore::new(if era == "modern" { 1 } else { TOGETHER }));
    let mut looking = JoinSet::new();
    for target in targets {
        let (together, modern) = (Arc::clone(&together), era == "modern");
        looking.spawn(async move {
            let _turn = together.acquire().await;
            look(&target, modern).await
        });
    }
    match looking.join_all().await.into_iter().all(|passed| passed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Makes the checks of one target, and says whether all passed.
async fn look(target: &Target, modern: bool) -> bool {
    let side = match in_time(Side::connect(target, modern)).await {
        Ok(side) => side,
        Err(why) => {
            say(format_args!("FAIL {} connect: {why}", target.name));
            return false;
        }
    };
    let mut passed = true;
    for check in &target.checks {
        match in_time(side.check(check)).await {
            Ok(()) => say(format_args!("ok {} {check}", target.name)),
            Err(why) => {
                passed = false;
                say(format_args!("FAIL {} {check}: {why}", target.name));
            }
        }
    }
    let _ = timeout(PATIENCE, side.client.cancel()).await;
    passed
}

async fn in_time<T>(what: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    timeout(PATIENCE, what).await.unwrap_or_else(|_| Err("took too long".to_owned()))
}

fn say(line: impl Display) {
    // One line, whatever is in it. Nobody can be told that nobody listens.
    let line = line.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn holds(what: bool, otherwise: impl Display) -> Outcome {
    if what { Ok(()) } else { Err(otherwise.to_string()) }
}

fn told(error: impl Display) -> String {
    error.to_string()
}

impl<'a> Side<'a> {
    async fn connect(target: &'a Target, modern: bool) -> Outcome<Self> {
        let changed = Arc::new(Notify::new());
        let (sender, reports) = mpsc::unbounded_channel();
        let callbacks = Callbacks { changed: Arc::clone(&changed), reports: sender };
        let lifecycle = match modern {
            true => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
            false => ClientLifecycleMode::Initialize,
        };
        let at = |value: &Value| value.as_str().map(str::to_owned).ok_or("`at` is of another kind");
        let client = if target.via == "http" {
            let transport = StreamableHttpClientTransport::from_uri(at(&target.at)?);
            callbacks.serve_with_lifecycle(transport, lifecycle).await.map_err(told)?
        } else {
            let words = target.at.as_array().ok_or("no command")?.iter().map(at).collect::<Result<Vec<_>, _>>()?;
            let (program, arguments) = words.split_first().ok_or("an empty command")?;
            let mut command = tokio::process::Command::new(program);
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn().map_err(told)?;
            let transport =
                (child.stdout.take().ok_or("no standard output")?, child.stdin.take().ok_or("no standard input")?);
            // It ends by itself when its input does; this only clears it away.
            tokio::spawn(async move { child.wait().await });
            callbacks.serve_with_lifecycle(transport, lifecycle).await.map_err(told)?
        };
        Ok(Self { target, modern, client, changed, reports: Mutex::new(reports) })
    }

    async fn check(&self, name: &str) -> Outcome {
        match name {
            "list" => self.list().await,
            "allowed" => self.allowed().await,
            "denied" => self.denied().await,
            "progress" => self.progress().await,
            "cancel" => self.cancel().await,
            "elicitation" => self.elicitation().await,
            "change" => self.change().await,
            other => Err(format!("there is no check `{other}`")),
        }
    }

    fn params(&self, tool: &str, arguments: Value) -> CallToolRequestParams {
        let params = CallToolRequestParams::new(format!("{}{tool}", self.target.prefix));
        params.with_arguments(arguments.as_object().cloned().unwrap_or_default())
    }

    async fn call(&self, tool: &str, arguments: Value) -> Outcome<Value> {
        let result = self.client.call_tool(self.params(tool, arguments)).await.map_err(told)?;
        serde_json::to_value(result).map_err(told)
    }

    async fn text(&self, tool: &str, arguments: Value) -> Outcome<String> {
        text(&self.call(tool, arguments).await?)
    }

    async fn names(&self) -> Outcome<Vec<String>> {
        let tools = self.client.list_all_tools().await.map_err(told)?;
        Ok(tools.iter().filter_map(|tool| tool.name.strip_prefix(&self.target.prefix)).map(str::to_owned).collect())
    }

    async fn list(&self) -> Outcome {
        let names = self.names().await?;
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        for wanted in ["echo", "add", "slow_progress", "wait", "ask", "grow"] {
            holds(has(wanted), format_args!("missing: {wanted}"))?;
        }
        holds(has("forbidden") != self.target.policy, format_args!("forbidden: {names:?}"))
    }

    async fn allowed(&self) -> Outcome {
        let text = "grüezi \u{2028} {}";
        let said = self.text("echo", json!({ "text": text })).await?;
        holds(said == text, said)?;
        let result = self.call("add", json!({ "a": 2, "b": 40 })).await?;
        holds(result.get("structuredContent") == Some(&json!({ "sum": 42 })), result)
    }

    async fn denied(&self) -> Outcome {
        let result = self.call("forbidden", json!({})).await?;
        holds(result.get("isError") == Some(&json!(true)), format_args!("not denied: {result}"))?;
        let member = |name: &str| result.pointer(&format!("/_meta/dev.toolgate~1decision/{name}"));
        let right = member("code") == Some(&json!("denied.rule")) && member("rule") == Some(&json!("/tools/forbidden"));
        holds(right, &result)?;
        let times = self.text("forbidden_calls", json!({})).await?;
        holds(times == "0", format_args!("the server was asked {times} times"))
    }

    async fn progress(&self) -> Outcome {
        let label = self.label("progress");
        let params = self.params("slow_progress", json!({ "steps": 4, "label": label }));
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options();
        let request = self.client.send_cancellable_request(request, options).await.map_err(told)?;
        let token = request.progress_token.clone();
        let answer = request.await_response();
        tokio::pin!(answer);
        let (mut seen, mut reports) = (Vec::new(), self.reports.lock().await);
        while seen.len() < 4 {
            tokio::select! {
                early = &mut answer => return Err(format!("answered after the reports {seen:?}: {early:?}")),
                Some(report) = reports.recv() => {
                    holds(report.progress_token == token, format_args!("a foreign report: {report:?}"))?;
                    seen.push((report.progress as u32, report.total.map(|total| total as u32)));
                }
            }
        }
        // rmcp handles each notification in a task of its own, so they come in any order.
        seen.sort_unstable();
        holds(seen == [1, 2, 3, 4].map(|n| (n, Some(4))), format_args!("{seen:?}"))?;
        self.text("go_on", json!({ "label": label })).await?;
        let answer = serde_json::to_value(answer.await.map_err(told)?).map_err(told)?;
        holds(text(&answer)? == "true", "the reports came with the answer")
    }

    async fn cancel(&self) -> Outcome {
        let label = self.label("wait");
        {
            let begun = async {
                let said = self.text("has_begun", json!({ "label": label })).await?;
                holds(said == "true", "it never began")
            };
            tokio::select! {
                answer = self.call("wait", json!({ "label": label })) => return Err(format!("not cancelled: {answer:?}")),
                begun = begun => begun?,
            }
            // The call is dropped here, and rmcp says so to the server.
        }
        let said = self.text("was_cancelled", json!({ "label": label })).await?;
        holds(said == "true", "the server did not learn of it")
    }

    async fn elicitation(&self) -> Outcome {
        let said = self.text("ask", json!({})).await?;
        holds(said == "Hello, my name!", said)
    }

    async fn change(&self) -> Outcome {
        let mut subscription = match self.modern {
            true => {
                let wanted = SubscriptionFilter::builder().tools_list_changed().build();
                Some(self.client.listen(wanted).await.map_err(told)?)
            }
            false => None,
        };
        let name = self.label("grown");
        self.text("grow", json!({ "name": name })).await?;
        // Others who use the same server make it change as well, so the first word need not be about ours.
        loop {
            match &mut subscription {
                Some(subscription) => {
                    let event = subscription.next().await.map_err(told)?;
                    holds(event.is_some(), format_args!("the subscription ended: {:?}", subscription.end()))?;
                }
                None => self.changed.notified().await,
            }
            if self.names().await?.contains(&name) {
                break;
            }
        }
        if let Some(mut subscription) = subscription {
            subscription.cancel().await.map_err(told)?;
        }
        let said = self.text(&name, json!({})).await?;
        holds(said == format!("I am {name}"), said)
    }

    /// A word that nobody else uses.
    fn label(&self, what: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{what}_rmcp_{}_{}", if self.modern { "modern" } else { "legacy" }, now.as_nanos())
    }
}

/// The text of a tool's result, which must not be an error.
fn text(result: &Value) -> Outcome<String> {
    holds(result.get("isError") != Some(&json!(true)), result)?;
    let blocks = result.get("content").and_then(Value::as_array).ok_or("no content")?;
    Ok(blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect())
}

impl ClientHandler for Callbacks {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("matrix", "1"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asked = serde_json::to_value(request).unwrap_or_default();
        let wanted = asked.pointer("/requestedSchema/properties").and_then(Value::as_object);
        let names = wanted.into_iter().flat_map(serde_json::Map::keys);
        let content: serde_json::Map<_, _> = names.map(|name| (name.clone(), json!(format!("my {name}")))).collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)))
    }

    async fn on_progress(&self, report: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        // Nobody waits for it but the check of progress.
        let _ = self.reports.send(report);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}
