//! A service with a clock that only the test moves, and the shortest way to ask it.

use std::time::Duration;

use azure_emulator::{Builder, Emulator, Running};
use reqwest::Method;
use serde_json::Value;

pub(crate) struct Service {
    pub(crate) running: Running,
    http: reqwest::Client,
}

pub(crate) async fn service() -> Service {
    start(Emulator::builder()).await
}

pub(crate) async fn start(builder: Builder) -> Service {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Service { running: builder.manual_clock().start().await.unwrap(), http }
}

impl Service {
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.http.request(method, format!("{}{path}", self.running.url())).header("api-key", self.running.key())
    }

    /// As [`Service::request`], without any credential.
    pub(crate) fn anonymous(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.http.request(method, format!("{}{path}", self.running.url()))
    }

    pub(crate) async fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        answer(self.request(method, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request("POST", path).body(body.to_string())).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.running.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn upload(&self, filename: &'static str, text: String) -> String {
        let part = reqwest::multipart::Part::text(text).file_name(filename);
        let form = reqwest::multipart::Form::new().text("purpose", "fine-tune").part("file", part);
        let (status, file) = answer(self.request("POST", "/openai/v1/files").multipart(form)).await;
        assert_eq!(status, 200, "{file}");
        file["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) fn lines(count: usize) -> String {
    let line = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#;
    format!("{line}\n").repeat(count)
}

pub(crate) const MODEL: &str = "gpt-4.1-mini-2025-04-14";
