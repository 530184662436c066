//! Writes what was compiled back as JSON text: paths, conditions, values, in the form that the language reads.

use std::fmt::{self, Write as _};

use crate::condition::{Asked, Condition};
use crate::literal::Literal;
use crate::path::{Part, Path, Step};
use crate::test::Test;

/// JSON text with the order of its keys. Shows over several lines where one is too short for it.
pub(crate) enum Tree {
    /// JSON already.
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

const WIDTH: usize = 100;

pub(crate) fn text(text: &str) -> Tree {
    Tree::Text(quoted(text))
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(crate) fn path(path: &Path) -> String {
    let root = match path {
        Path::Args(steps) => return steps.iter().fold("args".to_owned(), |text, step| text + &written(step)),
        Path::Label(key) => return format!("agent.labels{}", written(&Step::Key(key.clone()))),
        Path::AgentId => "agent.id",
        Path::ServerId => "server.id",
        Path::ToolName => "tool.name",
        Path::Category => "tool.category",
        Path::Risk => "tool.risk",
        Path::Time(part, zone) => {
            let part = match part {
                Part::Date => "date",
                Part::Hour => "hour",
                Part::Weekday => "weekday",
            };
            return match zone.name() {
                None => format!("time.{part}"),
                Some(name) => format!("time({}).{part}", quoted(name)),
            };
        }
    };
    root.to_owned()
}

fn written(step: &Step) -> String {
    match step {
        Step::Each => "[*]".to_owned(),
        Step::Key(key) if !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') => {
            format!(".{key}")
        }
        Step::Key(key) => format!("[{}]", quoted(key)),
    }
}

pub(crate) fn condition(of: &Condition) -> Tree {
    let list = |conditions: &[Condition]| Tree::List(conditions.iter().map(condition).collect());
    match of {
        Condition::All(conditions) => Tree::Map(vec![("all".to_owned(), list(conditions))]),
        Condition::Any(conditions) => Tree::Map(vec![("any".to_owned(), list(conditions))]),
        Condition::Test(asked) => {
            let (op, value, negated) = operator(asked);
            let members = [("path", text(&path(&asked.path))), ("op", text(op)), ("value", value)];
            let asked = Tree::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
            if negated { Tree::Map(vec![("not".to_owned(), asked)]) } else { asked }
        }
    }
}

/// `not args.amount lte 100`
pub(crate) fn sentence(asked: &Asked) -> String {
    let (op, value, negated) = operator(asked);
    format!("{}{} {op} {}", if negated { "not " } else { "" }, path(&asked.path), value.line())
}

/// The operator, its value, and whether `not` must stand before it.
fn operator(asked: &Asked) -> (&'static str, Tree, bool) {
    let negated = asked.negated;
    let texts = |texts: Vec<String>| Tree::List(texts.iter().map(|one| text(one)).collect());
    match &asked.test {
        Test::Equals(value) => (if negated { "neq" } else { "eq" }, literal(value), false),
        Test::OneOf(values) => {
            (if negated { "not_in" } else { "in" }, Tree::List(values.iter().map(literal).collect()), false)
        }
        Test::Exists => ("exists", Tree::Text((!negated).to_string()), false),
        Test::Compare(relation, bound) => (relation.word(), Tree::Text(bound.to_string()), negated),
        Test::Length(relation, bound) => {
            let word = match relation.word() {
                "lt" => "len_lt",
                "lte" => "len_lte",
                "gt" => "len_gt",
                _ => "len_gte",
            };
            (word, Tree::Text(bound.to_string()), negated)
        }
        Test::Contains(part) => ("contains", literal(part), negated),
        Test::StartsWith(start) => ("starts_with", text(start), negated),
        Test::EndsWith(end) => ("ends_with", text(end), negated),
        Test::Glob(pattern) => ("glob", text(pattern.as_str()), negated),
        Test::Regex(regex) => {
            // Without the anchors that the reader put around it.
            let inner = regex.as_str().strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z"));
            ("regex", text(inner.unwrap_or(regex.as_str())), negated)
        }
        Test::Within(folders) => ("path_within", texts(folders.iter().map(ToString::to_string).collect()), negated),
        Test::HostIn(hosts) => ("url_host_in", texts(hosts.iter().map(ToString::to_string).collect()), negated),
        Test::Type(wanted) => ("type", text(wanted.word()), negated),
    }
}

pub(crate) fn literal(value: &Literal) -> Tree {
    match value {
        Literal::Null => Tree::Text("null".to_owned()),
        Literal::Bool(value) => Tree::Text(value.to_string()),
        Literal::Number(number) => Tree::Text(number.to_string()),
        Literal::String(value) => text(value),
        Literal::Array(elements) => Tree::List(elements.iter().map(literal).collect()),
        Literal::Object(members) => {
            Tree::Map(members.iter().map(|(key, value)| (key.to_string(), literal(value))).collect())
        }
    }
}

impl Tree {
    /// On one line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(elements) => format!("[{}]", joined(elements.iter().map(Self::line))),
            Self::Map(members) if members.is_empty() => "{}".to_owned(),
            Self::Map(members) => {
                let members = members.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.line()));
                format!("{{ {} }}", joined(members))
            }
        }
    }

    /// `used` is how much of the first line is taken already.
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize, used: usize) -> fmt::Result {
        let line = self.line();
        let short = line.chars().count() + used <= WIDTH && indent > 0;
        match self {
            Self::Text(_) => f.write_str(&line),
            Self::List(_) | Self::Map(_) if short || line.len() == 2 => f.write_str(&line),
            Self::List(elements) => {
                let elements = elements.iter().map(|element| (String::new(), element));
                block(f, ['[', ']'], elements, indent)
            }
            Self::Map(members) => {
                let members = members.iter().map(|(key, value)| (format!("{}: ", quoted(key)), value));
                block(f, ['{', '}'], members, indent)
            }
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn block<'t>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [char; 2],
    parts: impl Iterator<Item = (String, &'t Tree)>,
    indent: usize,
) -> fmt::Result {
    f.write_char(open)?;
    let mut before = "";
    for (key, value) in parts {
        let inner = 2 * (indent + 1);
        write!(f, "{before}\n{:inner$}{key}", "")?;
        // One more for the comma.
        value.write(f, indent + 1, inner + key.chars().count() + 1)?;
        before = ",";
    }
    write!(f, "\n{:indent$}{close}", "", indent = 2 * indent)
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0, 0)
    }
}
