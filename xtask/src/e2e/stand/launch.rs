//! How a server on stdio is started, by whoever talks to it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A command, what it finds in its environment, and where it runs.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) words: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: Option<PathBuf>,
}

impl Launch {
    /// The program and the arguments of `command`, and nothing else of it.
    pub(crate) fn of(command: &Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words = words.map(|word| word.to_string_lossy().into_owned()).collect();
        Self { words, env: Vec::new(), cwd: None }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.cwd = Some(folder.to_owned());
        self
    }

    /// As it stands in a configuration.
    pub(crate) fn settings(&self) -> String {
        let mut settings = format!("command = {:?}", self.words);
        if !self.env.is_empty() {
            let env: Vec<_> = self.env.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
            settings += &format!("\nenv = {{ {} }}", env.join(", "));
        }
        if let Some(cwd) = &self.cwd {
            settings += &format!("\ncwd = {cwd:?}");
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_toml() {
        let launch = Launch::of(Command::new("node").args(["a b.js", "\"x\""]));
        assert_eq!(launch.settings(), r#"command = ["node", "a b.js", "\"x\""]"#);
        let launch = launch.with("NAME", "v").with("OTHER", "w").within(Path::new("/srv"));
        let settings = launch.settings();
        let lines: Vec<_> = settings.lines().skip(1).collect();
        assert_eq!(lines, [r#"env = { NAME = "v", OTHER = "w" }"#, r#"cwd = "/srv""#]);
    }
}
