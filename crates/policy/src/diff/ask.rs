//! One question of a policy to one part of a call: the smallest thing that a decision hangs on besides the name.

use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::catalogue::Classes;
use crate::check::Facts;
use crate::condition::{Asked, Stance};
use crate::counter::Priced;
use crate::literal::Literal;
use crate::moment::{self, Zone};
use crate::path::{self, Path, Step};
use crate::test::Test;
use crate::{Call, Context, Subject};

/// The part of a call that a question looks at. Parts are independent of each other: any two values of two parts can meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// By its key, with all that is in it.
    Argument(Box<str>),
    /// Whether there are arguments at all: `args[*]` can tell.
    Arguments,
    Agent,
    Label(Box<str>),
    Server,
    /// Hour, weekday and date together: they are not independent.
    Time,
    /// The name itself, where a test on it is none that names were sorted by.
    Name,
}

#[derive(Clone, Debug)]
pub(super) enum Ask {
    Condition(Asked, Stance),
    Cost(Priced),
}

const NO_CLASSES: &Classes = &Classes::new();

impl Ask {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Condition(asked, _) => &asked.path,
            Self::Cost(priced) => &priced.path,
        }
    }

    /// A question that only tells whether a value is this one.
    pub(super) fn whether(literal: &Literal) -> Self {
        let (path, test) = (Path::Args(Vec::new()), Test::Equals(literal.clone()));
        Self::Condition(Asked { path, test, negated: false }, Stance::Beware)
    }

    pub(super) fn test(&self) -> Option<&Test> {
        match self {
            Self::Condition(asked, _) => Some(&asked.test),
            Self::Cost(_) => None,
        }
    }

    /// The same, asked of a part of the call alone, as if that were all the arguments.
    pub(super) fn of_part(mut self) -> (Part, Self) {
        let part = match self.path() {
            Path::Args(steps) => match steps.first() {
                Some(Step::Key(key)) => Part::Argument(key.clone()),
                Some(Step::Each) | None => Part::Arguments,
            },
            Path::AgentId => Part::Agent,
            Path::Label(key) => Part::Label(key.clone()),
            Path::ServerId => Part::Server,
            Path::ToolName | Path::Category | Path::Risk => Part::Name,
            Path::Time(..) => Part::Time,
        };
        match part {
            Part::Argument(_) => self = self.below(),
            Part::Agent | Part::Label(_) | Part::Server | Part::Name => self.set_path(Path::Args(Vec::new())),
            Part::Arguments | Part::Time => {}
        }
        (part, self)
    }

    /// The values that it asks for as a whole.
    pub(super) fn literals(&self) -> &[Literal] {
        self.test().map(Test::literals).unwrap_or_default()
    }

    pub(super) fn steps(&self) -> &[Step] {
        if let Path::Args(steps) = self.path() { steps } else { &[] }
    }

    /// The same, asked of what the first step leads to.
    pub(super) fn below(mut self) -> Self {
        let steps = self.steps().get(1..).unwrap_or_default().to_vec();
        self.set_path(Path::Args(steps));
        self
    }

    fn set_path(&mut self, path: Path) {
        match self {
            Self::Condition(asked, _) => asked.path = path,
            Self::Cost(priced) => priced.path = path,
        }
    }

    /// Whether anything is wrong that this looks for; of a list, with any of its elements. So a `require` that holds is
    /// one that finds nothing wrong.
    pub(super) fn flags(&self, arguments: Option<&str>, time: SystemTime) -> bool {
        let arguments = arguments.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let context = Context { agent: None, labels: &[], server: "", time };
        let facts = Facts { call: Call { subject: Subject::Tool(""), arguments, context }, classes: NO_CLASSES };
        match self {
            Self::Condition(asked, Stance::Require) => !asked.holds(&facts, Stance::Require),
            Self::Condition(asked, Stance::Beware) => asked.holds(&facts, Stance::Beware),
            Self::Cost(priced) => priced.cost(&facts).is_none(),
        }
    }

    /// Of a value that is no moment.
    pub(super) fn flags_value(&self, value: Option<&str>) -> bool {
        self.flags(value, SystemTime::UNIX_EPOCH)
    }

    pub(super) fn asks_date(&self) -> bool {
        matches!(self.path(), Path::Time(path::Part::Date, _))
    }

    /// The zone of a question about time.
    pub(super) fn zone(&self) -> Option<&Zone> {
        if let Path::Time(_, zone) = self.path() { Some(zone) } else { None }
    }

    pub(super) fn asks_hour(&self) -> bool {
        matches!(self.path(), Path::Time(path::Part::Hour, _))
    }
}

/// What a moment is called where it is shown: `2026-11-23T09:00:00Z`.
pub(super) fn hour_of(time: SystemTime) -> String {
    format!("{}T{:02}:00:00Z", moment::date(time, &Zone::UTC), moment::hour(time, &Zone::UTC))
}
