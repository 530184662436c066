//! The lists that the aggregate merges, and what it changes in their items: the name, and nothing else.

use mcp::{Method, Object};

use super::names;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
    Tasks,
}

impl Kind {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsList,
            Self::Prompts => Method::PromptsList,
            Self::Resources => Method::ResourcesList,
            Self::Templates => Method::TemplatesList,
            Self::Tasks => Method::TasksList,
        }
    }

    /// The member of the result that holds the items.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Tasks => "tasks",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
            Self::Tasks => "taskId",
        }
    }

    /// The item under the name that the aggregate gives it, all else byte for byte. None for what cannot have one.
    pub(super) fn renamed(self, server: &str, item: &str) -> Option<String> {
        let item = Object::read(item)?;
        let name = item.text(self.key())?;
        let name = match self {
            Self::Tools | Self::Prompts => names::join(server, &name)?,
            Self::Resources | Self::Templates => names::wrap_uri(server, &name),
            Self::Tasks => names::wrap_id(server, &name),
        };
        Some(item.amended(&[], &[(self.key(), &mcp::string(&name))]))
    }
}
