//! Where settings come from, lowest first: built-in defaults, one TOML file, `TOOLGATE__…` variables, flags. Each value keeps its origin.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use config::{FileFormat, Format as _, Map, Source, Value, ValueKind};

use super::error::{ConfigErrors, Problem};
use super::origin::Origin;

const ENV_PREFIX: &str = "TOOLGATE__";
const DEFAULTS: &str = include_str!("defaults.toml");
/// A configuration, or a secret, beyond this size is a mistake.
const MAX_FILE: u64 = 1 << 20;
/// The `config` crate reads top-level names as path expressions (`a[9].b`), and names below as they are. So ours all lie below.
const ROOT: &str = "settings";

/// What a configuration is made from. Not `Debug`: the environment holds secrets.
#[derive(Clone, Default)]
pub struct Layers {
    pub file: ConfigFile,
    /// The whole environment; `TOOLGATE__SECTION__KEY` is a setting, the rest is looked up by `{ env = "NAME" }`.
    pub env: Vec<(OsString, OsString)>,
    /// Dotted keys and their values, such as `("listen.data", "127.0.0.1:0")`; the last one wins.
    pub flags: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default)]
pub enum ConfigFile {
    #[default]
    None,
    Required(PathBuf),
    IfPresent(PathBuf),
    /// The text, made of what stands on the command line.
    Given(String),
}

impl Layers {
    /// All layers as one tree, the later over the earlier.
    pub(super) fn merge(&self) -> Result<Map<String, Value>, ConfigErrors> {
        let mut layers = vec![toml(&Origin::Default, Path::new("defaults.toml"), DEFAULTS)?];
        layers.extend(self.file_layer()?);
        layers.extend(self.env_layers()?);
        for (key, value) in &self.flags {
            let path = key.split('.').map(str::to_owned).collect();
            layers.push(Layer::single(path, value, &Origin::Flag(key.clone())));
        }

        let mut builder = config::Config::builder();
        for layer in layers {
            builder = builder.add_source(layer);
        }
        let merged =
            builder.build().map_err(|e| Problem::Syntax { file: "toolgate.toml".into(), reason: e.to_string() })?;
        Ok(table(merged.cache).remove(ROOT).map(table).unwrap_or_default())
    }

    fn file_layer(&self) -> Result<Option<Layer>, Problem> {
        let (path, required) = match &self.file {
            ConfigFile::None => return Ok(None),
            ConfigFile::Required(path) => (path, true),
            ConfigFile::IfPresent(path) => (path, false),
            ConfigFile::Given(text) => {
                return toml(&Origin::Flag("command line".to_owned()), Path::new("command line"), text).map(Some);
            }
        };
        match read_text(path) {
            Ok(text) => toml(&Origin::File(path.clone()), path, &text).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !required => Ok(None),
            Err(e) => Err(Problem::Unreadable { file: path.clone(), reason: e.to_string() }),
        }
    }

    fn env_layers(&self) -> Result<Vec<Layer>, ConfigErrors> {
        let mut settings: Vec<(Vec<String>, String, &OsString)> = Vec::new();
        let mut problems = Vec::new();
        for (name, value) in &self.env {
            let name = name.to_string_lossy().into_owned();
            let Some(path) = name.strip_prefix(ENV_PREFIX).map(env_path) else {
                continue;
            };
            settings.push((path, name, value));
        }
        // The order of the environment is nobody's choice, so it may not decide anything.
        settings.sort();

        let mut layers = Vec::new();
        let mut earlier: Option<(&String, &Vec<String>)> = None;
        for (path, name, value) in &settings {
            let origin = Origin::Env(name.clone());
            match earlier {
                Some((other, set)) if path.starts_with(set) => problems.push(Problem::Unusable {
                    key: set.join("."),
                    reason: format!("is set twice, also by env {other}"),
                    origin: origin.clone(),
                }),
                Some(_) | None => {}
            }
            match value.to_str() {
                Some(value) => layers.push(Layer::single(path.clone(), value, &origin)),
                None => {
                    problems.push(Problem::Unusable { key: path.join("."), reason: "is not UTF-8".to_owned(), origin })
                }
            }
            earlier = Some((name, path));
        }
        ConfigErrors::check(problems)?;
        Ok(layers)
    }

    /// A path as it is meant: what has a place in a file stands beside it, and so does a default where there is a file.
    pub(super) fn beside(&self, origin: &Origin, path: &str) -> io::Result<PathBuf> {
        match (&self.file, origin) {
            (ConfigFile::Required(file) | ConfigFile::IfPresent(file), Origin::Default) => {
                Origin::File(file.clone()).resolve(path)
            }
            _ => origin.resolve(path),
        }
    }

    /// Where the file lies.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        match &self.file {
            ConfigFile::Required(file) | ConfigFile::IfPresent(file) => {
                std::path::absolute(file).ok()?.parent().map(Path::to_owned)
            }
            ConfigFile::None | ConfigFile::Given(_) => None,
        }
    }

    /// The variable that `{ env = "NAME" }` asks for.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let (_, value) = self.env.iter().find(|(key, _)| key == name)?;
        value.to_str()
    }
}

/// `SERVERS__GITHUB__HEADERS__X_API_KEY_FILE` is `servers.github.headers.x-api-key.file`: names of headers have hyphens,
/// names of variables cannot.
fn env_path(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let mut path: Vec<String> = name.split("__").map(str::to_owned).collect();
    if let [servers, _, headers, header] = path.as_mut_slice()
        && servers == "servers"
        && headers == "headers"
    {
        let from_file = header.strip_suffix("_file").map(str::to_owned);
        *header = from_file.as_ref().unwrap_or(header).replace('_', "-");
        if from_file.is_some() {
            path.push("file".to_owned());
        }
    }
    // Names of variables for a program are in capitals more often than not.
    if let [servers, _, env, variable, ..] = path.as_mut_slice()
        && servers == "servers"
        && env == "env"
    {
        *variable = variable.to_uppercase();
    }
    path
}

/// The variable that sets this key.
pub(super) fn env_name(key: &str) -> String {
    let name = key.replace('.', "__").replace('-', "_").to_uppercase();
    format!("{ENV_PREFIX}{name}")
}

pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE {
        return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn toml(origin: &Origin, path: &Path, text: &str) -> Result<Layer, Problem> {
    let map = FileFormat::Toml
        .parse(Some(&origin.to_string()), text)
        .map_err(|e| Problem::Syntax { file: path.to_owned(), reason: without_source_lines(&e.to_string()) })?;
    Ok(Layer(map))
}

/// A TOML error quotes the line it is about, and that line may hold a secret.
fn without_source_lines(message: &str) -> String {
    let kept: Vec<&str> = message
        .lines()
        .filter(|line| !line.contains('|'))
        .map(|line| line.trim().trim_start_matches("TOML parse error at "))
        .collect();
    kept.join(": ")
}

#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Layer {
    fn single(path: Vec<String>, value: &str, origin: &Origin) -> Self {
        let origin = origin.to_string();
        let leaf = Value::new(Some(&origin), value);
        let root = path
            .into_iter()
            .rev()
            .fold(leaf, |inner, segment| Value::new(Some(&origin), Map::from_iter([(segment, inner)])));
        Self(table(root))
    }
}

fn table(value: Value) -> Map<String, Value> {
    if let ValueKind::Table(map) = value.kind { map } else { Map::new() }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(Map::from_iter([(ROOT.to_owned(), self.0.clone().into())]))
    }
}
