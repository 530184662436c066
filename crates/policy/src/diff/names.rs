//! Sorts all names that there can be into classes: each name that is written out by itself, all others by the patterns of
//! both policies that match them. Every class has a name in it, and no name is in none.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use super::texts::Texts;
use crate::condition::Condition;
use crate::json::Json;
use crate::literal::{Literal, Value};
use crate::path::Path;
use crate::pattern::Pattern;
use crate::space::Space;
use crate::test::Test;
use crate::{Policy, Subject};

/// More classes than this are not looked at.
pub(super) const MOST: usize = 4_096;

/// How more patterns than this overlap is not worked out.
const MOST_GLOBS: usize = 500;

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Tool,
    Resource,
    Prompt,
}

/// Names that both policies treat alike, each in its way.
#[derive(Clone, Debug)]
pub struct NameClass {
    kind: Kind,
    example: Box<str>,
    /// None for a name that is written out: it is alone.
    same: Option<Arc<Sorting>>,
}

/// How names of one kind are sorted. A name is text without control characters, and not empty.
#[derive(Debug)]
pub(super) struct Sorting {
    exact: BTreeSet<String>,
    globs: BTreeSet<Pattern>,
    /// On `tool.name`, in conditions.
    tests: Vec<Test>,
}

impl NameClass {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name, or one of them.
    pub fn example(&self) -> &str {
        &self.example
    }

    /// Whether this is one name, written out in a policy or a catalogue.
    pub fn is_exact(&self) -> bool {
        self.same.is_none()
    }

    /// The patterns of either policy that match these names; `*` is not among them.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        let globs = self.same.iter().flat_map(|sorting| &sorting.globs);
        globs.filter(|glob| glob.matches(&self.example)).map(Pattern::as_str)
    }

    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        let alike = || match &self.same {
            None => *self.example == *name,
            Some(sorting) => !sorting.exact.contains(name) && sorting.way(name) == sorting.way(&self.example),
        };
        kind == self.kind && alike()
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        match self.kind {
            Kind::Tool => Subject::Tool(&self.example),
            Kind::Resource => Subject::Resource(&self.example),
            Kind::Prompt => Subject::Prompt(&self.example),
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Tool, Self::Resource, Self::Prompt];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
        }
    }

    pub(super) fn space(self, policy: &Policy) -> &Space {
        match self {
            Self::Tool => policy.tools(),
            Self::Resource => policy.resources(),
            Self::Prompt => policy.prompts(),
        }
    }
}

/// All classes of this kind of names, and why there may be more.
pub(super) fn classes(kind: Kind, policies: [&Policy; 2]) -> (Vec<NameClass>, Option<&'static str>) {
    let sorting = Sorting::new(kind, policies);
    let mut texts = Texts::of_names();
    sorting.globs.iter().for_each(|glob| texts.add_pattern(glob));
    for test in &sorting.tests {
        // What cannot sort names here is asked of each by `terms`.
        let _ = texts.add(test);
    }
    sorting.exact.iter().for_each(|name| texts.add_literal(name));
    let (mut examples, mut open) = if sorting.globs.len() > MOST_GLOBS {
        (Vec::new(), Some("there are too many patterns"))
    } else {
        texts.examples()
    };
    if open.is_some() {
        let seen = examples.iter().map(|name| sorting.way(name)).collect();
        examples.extend(sorting.guesses(kind, policies, seen));
    }
    let mut classes = Vec::new();
    let exact = sorting.exact.iter().filter(|name| !name.is_empty() && !name.contains(char::is_control));
    classes.extend(exact.map(|name| NameClass { kind, example: name.as_str().into(), same: None }));
    let sorting = Arc::new(sorting);
    for example in examples {
        classes.push(NameClass { kind, example: example.into(), same: Some(Arc::clone(&sorting)) });
    }
    if classes.len() > MOST {
        classes.truncate(MOST);
        open = Some("there are too many kinds of names");
    }
    (classes, open)
}

impl Sorting {
    fn new(kind: Kind, policies: [&Policy; 2]) -> Self {
        let (mut exact, mut globs, mut tests) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for policy in policies {
            let mut own = BTreeSet::new();
            let space = kind.space(policy);
            exact.extend(space.names().map(str::to_owned));
            if kind == Kind::Tool {
                exact.extend(policy.classes().keys().map(|name| name.as_ref().to_owned()));
            }
            for rule in space.globs() {
                for pattern in
                    std::iter::once(&rule.pattern).chain(&rule.except).filter(|pattern| !pattern.is_everything())
                {
                    if pattern.is_glob() {
                        own.insert(pattern.clone());
                    } else {
                        exact.insert(pattern.as_str().to_owned());
                    }
                }
                if kind == Kind::Tool {
                    rule.checks.iter().for_each(|check| names_asked(&check.condition, &mut tests));
                }
            }
            globs.append(&mut own);
        }
        for literal in tests.iter().flat_map(Test::literals) {
            if let Literal::String(name) = literal {
                exact.insert(name.as_ref().to_owned());
            }
        }
        Self { exact, globs, tests }
    }

    /// How all patterns and tests come out for a name.
    fn way(&self, name: &str) -> Vec<bool> {
        let globs = self.globs.iter().map(|glob| glob.matches(name));
        let json = crate::written::quoted(name);
        let value = Value::of(Json::new(&json));
        let holds = |test: &Test| value.as_ref().is_some_and(|value| test.ask(value).unwrap_or_default());
        globs.chain(self.tests.iter().map(holds)).collect()
    }

    /// Where not every class is known, one name for each pattern, as far as there is time; first those that fare otherwise.
    fn guesses(&self, kind: Kind, policies: [&Policy; 2], mut seen: HashSet<Vec<bool>>) -> Vec<String> {
        let plain = |glob: &Pattern| ["", "x"].map(|run| glob.as_str().replace('*', run).replace('?', "x"));
        let names = self.globs.iter().flat_map(plain).chain(["x".to_owned(), "xyz".to_owned()]);
        let mut names = names.filter(|name| !name.is_empty() && !self.exact.contains(name)).collect::<Vec<_>>();
        names.sort_by_cached_key(|name| {
            let [old, new] = policies.map(|policy| kind.space(policy).judge(name).ruling.map(|rule| &rule.pointer));
            format!("{old:?}") == format!("{new:?}")
        });
        names.truncate(2 * MOST_GLOBS);
        names.retain(|name| seen.insert(self.way(name)));
        names
    }
}

fn names_asked(condition: &Condition, tests: &mut Vec<Test>) {
    match condition {
        Condition::All(conditions) | Condition::Any(conditions) => {
            conditions.iter().for_each(|condition| names_asked(condition, tests));
        }
        Condition::Test(asked) => tests.extend((asked.path == Path::ToolName).then(|| asked.test.clone())),
    }
}

impl fmt::Display for NameClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        if self.is_exact() {
            return write!(f, "{kind} `{}`", self.example);
        }
        let patterns = self.patterns().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>();
        if patterns.is_empty() {
            write!(f, "any other {kind}, such as `{}`", self.example)
        } else {
            write!(f, "any {kind} on {}, such as `{}`", patterns.join(" and "), self.example)
        }
    }
}

impl PartialEq for NameClass {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.example == other.example && self.is_exact() == other.is_exact()
    }
}

impl Eq for NameClass {}
