//! A recorded call, as far as a policy asks.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use policy::Subject;
use serde_json::value::RawValue;

use super::summary::Side;
use crate::stage::{Asked, Caller};

pub(super) struct Record<'t> {
    pub(super) time: SystemTime,
    pub(super) kind: Kind,
    pub(super) name: Cow<'t, str>,
    /// Whether the name is told in full.
    pub(super) is_whole: bool,
    pub(super) arguments: Said<&'t RawValue>,
    pub(super) agent: Said<Cow<'t, str>>,
    pub(super) labels: Said<Labels>,
    pub(super) session: Option<Cow<'t, str>>,
    pub(super) server: Option<Cow<'t, str>>,
    pub(super) old: Option<Side>,
}

/// By key.
pub(super) type Labels = Vec<(Box<str>, Box<str>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tool,
    Resource,
    Prompt,
}

/// What a record says of something: that it was not there is not the same as nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<T> {
    Unsaid,
    /// `null`: there was none.
    Nothing,
    Value(T),
}

impl Record<'_> {
    pub(super) fn subject(&self) -> Subject<'_> {
        match self.kind {
            Kind::Tool => Subject::Tool(&self.name),
            Kind::Resource => Subject::Resource(&self.name),
            Kind::Prompt => Subject::Prompt(&self.name),
        }
    }

    /// A resource is read without any.
    pub(super) fn knows_arguments(&self) -> bool {
        self.kind == Kind::Resource || self.arguments.is_said()
    }

    pub(super) fn asked(&self, at: Duration) -> Asked<'_> {
        let arguments = match self.arguments {
            Said::Value(arguments) => Some(arguments),
            Said::Unsaid | Said::Nothing => None,
        };
        let caller = match &self.agent {
            // As `agent.rs` calls those who did not say who they are.
            Said::Value(key) if is_anonymous(key) => Caller::Anonymous(Some(key)),
            Said::Value(id) => Caller::Known(id),
            Said::Unsaid | Said::Nothing => Caller::Anonymous(None),
        };
        let labels = match &self.labels {
            Said::Value(labels) => labels.as_slice(),
            Said::Unsaid | Said::Nothing => &[],
        };
        let (session, server) = (self.session.as_deref(), self.server.as_deref().unwrap_or_default());
        Asked { subject: self.subject(), arguments, caller, labels, session, server, time: self.time, at }
    }
}

fn is_anonymous(key: &str) -> bool {
    key.strip_prefix("anonymous").is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '#']))
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
        }
    }
}

impl<T> Said<T> {
    pub(super) fn is_said(&self) -> bool {
        !matches!(self, Self::Unsaid)
    }

    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unsaid | Self::Nothing => None,
        }
    }
}
