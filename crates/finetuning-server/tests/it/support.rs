//! A server before an emulated service whose time only the test moves, and a client of rmcp's on a pipe in memory.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use azure_emulator::{Builder, Emulator, Running};
use finetuning_server::{FineTuningServer, Settings};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam};
use rmcp::service::{NotificationContext, RoleClient, RunningService};
use rmcp::{ClientHandler, ServiceExt as _};
use serde_json::Value;

pub(crate) struct Stand {
    pub(crate) service: Running,
    pub(crate) client: RunningService<RoleClient, Listener>,
}

/// Notes what it is told.
#[derive(Clone, Default)]
pub(crate) struct Listener(pub(crate) Arc<Mutex<Vec<String>>>);

impl ClientHandler for Listener {
    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.lock().unwrap().push(told.message.unwrap_or_default());
    }
}

pub(crate) fn variables(service: &Running, more: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let own = [("AZURE_OPENAI_ENDPOINT", service.url()), ("AZURE_OPENAI_API_KEY", service.key())];
    // The later of two equal names wins.
    own.iter().chain(more).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

pub(crate) async fn stand() -> Stand {
    with(Emulator::builder().manual_clock(), &[]).await
}

pub(crate) async fn with(builder: Builder, more: &[(&str, &str)]) -> Stand {
    let service = builder.start().await.unwrap();
    let settings = Settings::from_env(variables(&service, more)).unwrap();
    before(service, settings).await
}

pub(crate) async fn before(service: Running, settings: Settings) -> Stand {
    let server = FineTuningServer::new(settings).unwrap();
    let (here, there) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await });
    let client = Listener::default().serve(here).await.unwrap();
    Stand { service, client }
}

impl Stand {
    pub(crate) async fn raw(&self, tool: &str, arguments: Value) -> CallToolResult {
        let mut call = CallToolRequestParams::new(tool.to_owned());
        call.arguments = arguments.as_object().cloned();
        self.client.call_tool(call).await.unwrap()
    }

    /// A call that must succeed: its answer, which stands in the text as in the structure.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        let tool = tool.to_owned();
        async move {
            let result = self.raw(&tool, arguments).await;
            let text = text(&result);
            assert_eq!(result.is_error, Some(false), "{tool} at {place}: {text}");
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(result.structured_content.as_ref(), Some(&value), "{tool}: text and structure differ");
            value
        }
    }

    /// A call that must fail: its error.
    #[track_caller]
    pub(crate) fn fail(&self, tool: &str, arguments: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        let tool = tool.to_owned();
        async move {
            let result = self.raw(&tool, arguments).await;
            let text = text(&result);
            assert_eq!(result.is_error, Some(true), "{tool} at {place}: {text}");
            assert!(result.structured_content.is_none(), "an error does not fit the output schema");
            serde_json::from_str::<Value>(&text).unwrap()["error"].take()
        }
    }

    /// `METHOD path` of everything that was asked of the service.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.service.journal().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }
}

pub(crate) fn text(result: &CallToolResult) -> String {
    assert_eq!(result.content.len(), 1, "one block of text");
    result.content[0].as_text().unwrap().text.clone()
}
