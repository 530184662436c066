//! A policy file as commands read it: its text, with the catalogue and the list of tools that lie beside it.

use std::path::Path;

use anyhow::Context as _;
use policy::{Catalogue, Policy, PolicyErrors, ToolList};

pub(crate) struct Document {
    pub(crate) file: String,
    pub(crate) text: String,
    catalogue: Option<Result<Catalogue, PolicyErrors>>,
    pub(crate) tools: Option<ToolList>,
}

impl Document {
    /// `tools` names a list of tools; else `tools.json` beside the policy is one, if it is there.
    pub(crate) fn read(path: &Path, tools: Option<&Path>) -> anyhow::Result<Self> {
        let file = path.display().to_string();
        let text = read(path)?;
        let catalogue = beside(path, "catalog.json")?.map(|(name, text)| Catalogue::parse(&name, &text));
        let tools = match tools {
            Some(path) => Some((path.display().to_string(), read(path)?)),
            None => beside(path, "tools.json")?,
        };
        let tools = tools.map(|(name, text)| ToolList::parse(&text).with_context(|| format!("cannot use `{name}`")));
        Ok(Self { file, text, catalogue, tools: tools.transpose()? })
    }

    pub(crate) fn policy(&self) -> Result<Policy, PolicyErrors> {
        match &self.catalogue {
            Some(Ok(catalogue)) => Policy::parse_with(&self.file, &self.text, catalogue),
            Some(Err(errors)) => Err(errors.clone()),
            None => Policy::parse(&self.file, &self.text),
        }
    }
}

/// Shows all that is wrong with a policy, each with its place.
pub(crate) fn complain(errors: &PolicyErrors) {
    errors.iter().for_each(|error| eprintln!("{:?}", miette::Report::new(error.clone())));
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn beside(path: &Path, name: &str) -> anyhow::Result<Option<(String, String)>> {
    let path = path.with_file_name(name);
    if path.exists() { Ok(Some((path.display().to_string(), read(&path)?))) } else { Ok(None) }
}
