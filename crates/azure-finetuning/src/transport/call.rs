//! One request before it is sent: everything but the credential.

use reqwest::Method;
use url::Url;

use super::Body;
use crate::error::Error;
use crate::retry::Repeat;

/// A request to be sent, perhaps more than once.
#[derive(Debug)]
pub(crate) struct Call {
    /// What errors and spans call it, such as `jobs.get`.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) repeat: Repeat,
    pub(crate) accept: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Body,
    /// Whether the answer is handed over unread.
    pub(crate) is_streamed: bool,
}

impl Call {
    fn new(operation: &'static str, method: Method, url: Url) -> Self {
        Self {
            operation,
            method,
            url,
            repeat: Repeat::Safe,
            accept: "application/json",
            headers: Vec::new(),
            body: Body::None,
            is_streamed: false,
        }
    }

    pub(crate) fn get(operation: &'static str, url: Url) -> Self {
        Self::new(operation, Method::GET, url)
    }

    pub(crate) fn delete(operation: &'static str, url: Url) -> Self {
        Self::new(operation, Method::DELETE, url)
    }

    /// A request that asks for a state, which is there already when it is asked for twice.
    pub(crate) fn post(operation: &'static str, url: Url) -> Self {
        // Gateways refuse a post that does not say how much follows.
        Self { headers: vec![("content-length", "0")], ..Self::new(operation, Method::POST, url) }
    }

    /// A request that puts something in its place, where it is already when it is put there twice.
    pub(crate) fn put(operation: &'static str, url: Url, body: Body) -> Self {
        Self { body, ..Self::new(operation, Method::PUT, url) }
    }

    /// A request that makes something new each time it is sent.
    pub(crate) fn create(operation: &'static str, url: Url, body: Body) -> Self {
        Self { repeat: Repeat::OnlyIfNotDone, body, ..Self::new(operation, Method::POST, url) }
    }

    pub(crate) fn header(mut self, (name, value): (&'static str, &'static str)) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same request, when sending it twice costs nothing after all.
    pub(crate) fn repeatable(self) -> Self {
        Self { repeat: Repeat::Safe, ..self }
    }

    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    /// An error that was seen after the request may have reached the service.
    pub(crate) fn after_leaving(&self, error: Error) -> Error {
        self.repeat.after_leaving(self.operation, error)
    }
}
