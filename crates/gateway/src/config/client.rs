//! The configuration of programs that serve one client over stdio: no file, nothing that listens, and one server at most.

use std::ffi::OsString;

use super::layers::{ConfigFile, Layers};

/// Settings that such a program takes from the environment.
const SECTIONS: [&str; 4] = ["TOOLGATE__AUDIT__", "TOOLGATE__BOUNDS__", "TOOLGATE__LIMITS__", "TOOLGATE__LOG__"];

/// A command with a policy before it.
#[derive(Clone, Debug, Default)]
pub struct Wrapped {
    pub name: String,
    pub policy: String,
    pub command: Vec<String>,
    /// Variables for the command.
    pub env: Vec<(String, String)>,
    /// Names of ours that it may see.
    pub inherit: Vec<String>,
    pub folder: Option<String>,
}

impl Layers {
    /// The built-in values, and those of the environment that are no business of a gateway's alone.
    pub fn of_client(env: Vec<(OsString, OsString)>) -> Self {
        let ours = |name: &OsString| name.to_string_lossy().starts_with("TOOLGATE__");
        let taken = |name: &OsString| SECTIONS.iter().any(|section| name.to_string_lossy().starts_with(section));
        let env = env.into_iter().filter(|(name, _)| !ours(name) || taken(name)).collect();
        Self { file: ConfigFile::None, env, flags: Vec::new() }
    }

    /// The same with one server, which is a command.
    pub fn wrapping(wrapped: &Wrapped, env: Vec<(OsString, OsString)>) -> Self {
        Self { file: ConfigFile::Given(wrapped.toml()), ..Self::of_client(env) }
    }
}

impl Wrapped {
    fn toml(&self) -> String {
        let mut lines = vec![
            // Several may run in one folder, and one journal has one writer.
            "audit.dir = \"\"".to_owned(),
            "store.url = \"\"".to_owned(),
            format!("[servers.{}]", quoted(&self.name)),
            format!("policy = {}", quoted(&self.policy)),
            format!("command = {}", listed(&self.command)),
        ];
        if !self.inherit.is_empty() {
            lines.push(format!("inherit = {}", listed(&self.inherit)));
        }
        lines.extend(self.folder.iter().map(|folder| format!("cwd = {}", quoted(folder))));
        lines.extend(self.env.iter().map(|(name, value)| format!("env.{} = {}", quoted(name), quoted(value))));
        lines.join("\n")
    }
}

fn listed(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", "))
}

/// What JSON escapes, TOML reads; but a delete character, which only TOML refuses.
fn quoted(text: &str) -> String {
    mcp::string(text).replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_any_kind_stay_what_they_are() {
        let odd = "a \"b\" \\ c\n\t\u{1}\u{7f}é, # ]";
        let wrapped = Wrapped {
            name: odd.into(),
            policy: odd.into(),
            command: vec![odd.into(), String::new()],
            env: vec![("A.B".into(), odd.into())],
            inherit: vec![odd.into()],
            folder: Some(odd.into()),
        };
        let read = config::Config::builder()
            .add_source(config::File::from_str(
                &wrapped.toml().replace(&quoted(odd), "\"x\""),
                config::FileFormat::Toml,
            ))
            .build();
        assert!(read.is_ok(), "{}", wrapped.toml());
        let text = format!("word = {}", quoted(odd));
        let read = config::Config::builder().add_source(config::File::from_str(&text, config::FileFormat::Toml));
        assert_eq!(read.build().unwrap().get_string("word").unwrap(), odd);
    }

    #[test]
    fn a_gateway_s_own_settings_are_not_a_client_s() {
        let env = ["TOOLGATE__SERVERS__X__URL", "TOOLGATE__LISTEN__DATA", "TOOLGATE__BOUNDS__BODY", "PATH"];
        let layers = Layers::of_client(env.map(|name| (name.into(), "v".into())).into());
        let kept: Vec<_> = layers.env.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(kept, ["TOOLGATE__BOUNDS__BODY", "PATH"]);
    }
}
