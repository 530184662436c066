//! Which lists a policy filters, and by what their items are known.

/// What a list answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOf {
    Tools,
    Prompts,
    Resources,
    Templates,
}

/// An item of a list as the policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    pub of: ListOf,
    pub name: &'a str,
}

impl ListOf {
    /// The member of the result that holds the items.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that a rule matches.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}
