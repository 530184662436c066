//! The methods that may pass, by revision, and the members that their params may have (`reference/mcp.md`, section 10).

use crate::{Era, ListOf, Revision};

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($variant),* }

        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The one of that exact spelling.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

named! {
    /// A request that a client may send.
    Method {
        Discover = "server/discover",
        Initialize = "initialize",
        Ping = "ping",
        ToolsList = "tools/list",
        PromptsList = "prompts/list",
        ResourcesList = "resources/list",
        TemplatesList = "resources/templates/list",
        ToolsCall = "tools/call",
        PromptsGet = "prompts/get",
        ResourcesRead = "resources/read",
        Complete = "completion/complete",
        SetLevel = "logging/setLevel",
        Subscribe = "resources/subscribe",
        Unsubscribe = "resources/unsubscribe",
        Listen = "subscriptions/listen",
        TasksGet = "tasks/get",
        TasksCancel = "tasks/cancel",
        TasksResult = "tasks/result",
        TasksList = "tasks/list",
        TasksUpdate = "tasks/update",
    }
}

named! {
    /// A notification that a client may send.
    Notice {
        Cancelled = "notifications/cancelled",
        Progress = "notifications/progress",
        Initialized = "notifications/initialized",
        RootsChanged = "notifications/roots/list_changed",
        TaskStatus = "notifications/tasks/status",
    }
}

named! {
    /// A request that a legacy server may send to a client.
    ServerMethod {
        Ping = "ping",
        Sample = "sampling/createMessage",
        Elicit = "elicitation/create",
        Roots = "roots/list",
    }
}

named! {
    /// A notification that a server may send.
    ServerNotice {
        Cancelled = "notifications/cancelled",
        Progress = "notifications/progress",
        Message = "notifications/message",
        ToolsChanged = "notifications/tools/list_changed",
        PromptsChanged = "notifications/prompts/list_changed",
        ResourcesChanged = "notifications/resources/list_changed",
        ResourceUpdated = "notifications/resources/updated",
        ElicitationComplete = "notifications/elicitation/complete",
        TaskStatus = "notifications/tasks/status",
        Tasks = "notifications/tasks",
        Acknowledged = "notifications/subscriptions/acknowledged",
    }
}

impl Method {
    /// Is the method part of this revision (the tasks extension counted in for modern)?
    pub fn is_in(self, revision: Revision) -> bool {
        use Revision as R;
        match self {
            Self::ToolsList | Self::PromptsList | Self::ResourcesList | Self::TemplatesList => true,
            Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead | Self::Complete => true,
            Self::Discover | Self::Listen | Self::TasksUpdate => revision.era() == Era::Modern,
            Self::Initialize | Self::Ping | Self::SetLevel | Self::Subscribe | Self::Unsubscribe => {
                revision.era() == Era::Legacy
            }
            Self::TasksGet | Self::TasksCancel => revision >= R::V2025_11_25,
            Self::TasksResult | Self::TasksList => revision == R::V2025_11_25,
        }
    }

    /// The members of `params` that are passed on; `_meta` comes on top.
    pub fn members(self, revision: Revision) -> &'static [&'static str] {
        let modern = revision.era() == Era::Modern;
        match self {
            Self::Discover | Self::Ping => &[],
            Self::Initialize => &["protocolVersion", "capabilities", "clientInfo"],
            Self::ToolsList | Self::PromptsList | Self::ResourcesList | Self::TemplatesList | Self::TasksList => {
                &["cursor"]
            }
            Self::ToolsCall if modern => &["name", "arguments", "inputResponses", "requestState"],
            Self::ToolsCall if revision == Revision::V2025_11_25 => &["name", "arguments", "task"],
            Self::PromptsGet if modern => &["name", "arguments", "inputResponses", "requestState"],
            Self::ToolsCall | Self::PromptsGet => &["name", "arguments"],
            Self::ResourcesRead if modern => &["uri", "inputResponses", "requestState"],
            Self::ResourcesRead | Self::Subscribe | Self::Unsubscribe => &["uri"],
            Self::Complete if revision >= Revision::V2025_06_18 => &["ref", "argument", "context"],
            Self::Complete => &["ref", "argument"],
            Self::SetLevel => &["level"],
            Self::Listen => &["notifications"],
            Self::TasksGet | Self::TasksCancel | Self::TasksResult => &["taskId"],
            Self::TasksUpdate => &["taskId", "inputResponses"],
        }
    }

    /// Is it about one task, named by its id?
    pub fn is_of_a_task(self) -> bool {
        self.name_member() == Some("taskId")
    }

    /// The member of `params` that names what is asked for, mirrored in `Mcp-Name`.
    pub fn name_member(self) -> Option<&'static str> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some("name"),
            Self::ResourcesRead | Self::Subscribe | Self::Unsubscribe => Some("uri"),
            Self::TasksGet | Self::TasksCancel | Self::TasksResult | Self::TasksUpdate => Some("taskId"),
            Self::Discover | Self::Initialize | Self::Ping | Self::Complete | Self::SetLevel | Self::Listen => None,
            Self::ToolsList | Self::PromptsList | Self::ResourcesList | Self::TemplatesList | Self::TasksList => None,
        }
    }

    /// What the answer lists, if it is a list that a policy filters.
    pub fn lists(self) -> Option<ListOf> {
        match self {
            Self::ToolsList => Some(ListOf::Tools),
            Self::PromptsList => Some(ListOf::Prompts),
            Self::ResourcesList => Some(ListOf::Resources),
            Self::TemplatesList => Some(ListOf::Templates),
            Self::Discover | Self::Initialize | Self::Ping | Self::Complete | Self::SetLevel | Self::Listen => None,
            Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead | Self::Subscribe | Self::Unsubscribe => None,
            Self::TasksGet | Self::TasksCancel | Self::TasksResult | Self::TasksList | Self::TasksUpdate => None,
        }
    }
}

impl Notice {
    /// Is the notification part of this revision?
    pub fn is_in(self, revision: Revision) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Progress | Self::Initialized | Self::RootsChanged => revision.era() == Era::Legacy,
            Self::TaskStatus => revision == Revision::V2025_11_25,
        }
    }

    /// The members of `params` that are passed on.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::Cancelled => &["requestId", "reason"],
            Self::Progress => &["progressToken", "progress", "total", "message"],
            Self::Initialized | Self::RootsChanged => &[],
            Self::TaskStatus => {
                &["taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttl", "pollInterval"]
            }
        }
    }
}
