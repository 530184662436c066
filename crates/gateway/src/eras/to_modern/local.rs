//! What a modern server is not asked, since modern has no such request: the bridge answers itself.

use std::sync::PoisonError;

use mcp::{Kind, Method, Writer};

use super::{Outgoing, ToModern};
use crate::refusal::{Refusal, Refused};

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

impl ToModern {
    /// The answer, if it is given here.
    pub(super) fn locally(&self, out: &Outgoing) -> Option<Vec<u8>> {
        let done = match out.method {
            Method::Ping => Ok(()),
            Method::TasksGet | Method::TasksCancel | Method::TasksResult | Method::TasksList => {
                let told = self.task_here(out)?;
                let ours = out.ours.to_string();
                return Some(told.map_or_else(|refused| refused.message().1, |told| Writer::result(&ours, &told)));
            }
            Method::SetLevel => self.set_level(out),
            Method::Subscribe => self.subscribe(out),
            Method::Unsubscribe => {
                self.subscriptions.remove(out.params.name().unwrap_or_default());
                Ok(())
            }
            Method::Discover
            | Method::Initialize
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::TemplatesList
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::Listen
            | Method::TasksUpdate => return None,
        };
        Some(match done {
            Ok(()) => Writer::result(&out.ours.to_string(), "{}"),
            Err(refused) => refused.message().1,
        })
    }

    fn set_level(&self, out: &Outgoing) -> Result<(), Refused> {
        if !self.serves.logging {
            return Err(out.to.refuse(Refusal::Unknown(out.method.as_str().into())));
        }
        let asked = out.params.get("level").filter(|level| LEVELS.iter().any(|known| mcp::string(known) == *level));
        let level = asked.ok_or_else(|| out.to.params(Kind::Params("`params.level` is not a level")))?;
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level.into());
        Ok(())
    }

    fn subscribe(&self, out: &Outgoing) -> Result<(), Refused> {
        if !self.serves.subscribe {
            return Err(out.to.refuse(Refusal::Unknown(out.method.as_str().into())));
        }
        match self.subscriptions.add(out.params.name().unwrap_or_default()) {
            true => Ok(()),
            false => Err(out.to.refuse(Refusal::TooManySubscriptions)),
        }
    }
}
