//! What people found out about the tools of a server: a category and a risk for each, which rules may be written on.

use std::collections::BTreeMap;

use crate::diagnostics::Findings;
use crate::{PolicyErrors, PolicyHash, read};

/// A `catalog.json`, read.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub(crate) hash: PolicyHash,
    pub(crate) tools: Classes,
}

pub(crate) type Classes = BTreeMap<Box<str>, Class>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) category: Category,
    pub(crate) risk: Risk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Read,
    Write,
    Execute,
    Destructive,
    Financial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Risk {
    Low,
    Medium,
    High,
    Critical,
}

impl Catalogue {
    /// Reads a document, or says everything that is wrong with it at once. `name` appears in diagnostics only.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(name, text);
        let tools = read::catalogue(text, &mut findings);
        findings.unless_errors()?;
        Ok(Self { hash: PolicyHash::of(text), tools })
    }
}

impl Category {
    pub(crate) const ALL: [(&str, Self); 5] = [
        ("Read", Self::Read),
        ("Write", Self::Write),
        ("Execute", Self::Execute),
        ("Destructive", Self::Destructive),
        ("Financial", Self::Financial),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Execute => "Execute",
            Self::Destructive => "Destructive",
            Self::Financial => "Financial",
        }
    }
}

impl Risk {
    pub(crate) const ALL: [(&str, Self); 4] =
        [("Low", Self::Low), ("Medium", Self::Medium), ("High", Self::High), ("Critical", Self::Critical)];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}
