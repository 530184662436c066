//! The written form: mirrors a policy document and nothing more. The engine never sees it; `compile` gives it meaning.

use std::ops::Range;
use std::time::Duration;

use crate::catalogue::{Category, Risk};
use crate::condition::Condition;
use crate::path::Path;
use crate::pattern::Pattern;
use crate::{Algorithm, Approval, ONE, Per, RulePointer};

/// A stretch of the text, in bytes.
pub(crate) type Span = Range<usize>;

#[derive(Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) description: Option<String>,
    pub(crate) default: Fallback,
    pub(crate) hide: Vec<Spanned<Pattern>>,
    pub(crate) shadow: bool,
    pub(crate) categories: Vec<Classified<Category>>,
    pub(crate) risks: Vec<Classified<Risk>>,
    pub(crate) all_tools: Option<Spanned<RuleEntry>>,
    pub(crate) tools: Vec<KeyedRule>,
    pub(crate) resources: Vec<KeyedRule>,
    pub(crate) prompts: Vec<KeyedRule>,
    pub(crate) reverse: ReverseEntry,
}

/// `default`: what becomes of a name that no rule lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fallback {
    Allow,
    #[default]
    Deny,
}

#[derive(Debug)]
pub(crate) struct KeyedRule {
    pub(crate) pattern: Spanned<Pattern>,
    pub(crate) rule: RuleEntry,
}

/// A rule on all tools of a class.
#[derive(Debug)]
pub(crate) struct Classified<T> {
    pub(crate) class: Spanned<T>,
    pub(crate) rule: RuleEntry,
}

#[derive(Debug, Default)]
pub(crate) struct RuleEntry {
    pub(crate) action: Action,
    pub(crate) reason: Option<String>,
    pub(crate) except: Vec<Spanned<Pattern>>,
    pub(crate) require: Vec<PredicateEntry>,
    pub(crate) deny_if: Vec<PredicateEntry>,
    pub(crate) approve_if: Vec<PredicateEntry>,
    pub(crate) approval: Option<Spanned<Approval>>,
    pub(crate) shadow: bool,
    /// Where it says that calls pass, uncounted, while the counts cannot be reached.
    pub(crate) passes_uncounted: Option<Span>,
    pub(crate) rate_limit: Vec<LimitEntry>,
    pub(crate) limits: Vec<LimitEntry>,
    /// Arguments whose values are recorded.
    pub(crate) record: Vec<Spanned<Path>>,
}

#[derive(Debug)]
pub(crate) struct PredicateEntry {
    pub(crate) span: Span,
    pub(crate) place: Place,
    pub(crate) condition: Condition,
    pub(crate) on_deny: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    #[default]
    Allow,
    Deny,
    RequireApproval,
    Hide,
}

#[derive(Debug)]
pub(crate) struct LimitEntry {
    pub(crate) span: Span,
    pub(crate) place: Place,
    /// In millionths.
    pub(crate) max: u64,
    pub(crate) window: Duration,
    pub(crate) cost: Cost,
    pub(crate) counter: Option<String>,
    pub(crate) per: Per,
    pub(crate) algorithm: Algorithm,
}

/// What a call adds to a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// In millionths.
    Fixed(u64),
    /// As much as the argument there says.
    At(Path),
}

/// Where something stands below its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `rate_limit`
    Alone(&'static str),
    /// `limits/0`
    InList(&'static str, usize),
    /// `rules/0/rate_limit`
    Below(&'static str, usize, &'static str),
    /// `rules/0/conditions/1`
    Condition(&'static str, usize, usize),
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReverseEntry {
    pub(crate) sampling: bool,
    pub(crate) elicitation: bool,
    pub(crate) roots: bool,
}

impl Document {
    pub(crate) fn rules(&self) -> impl Iterator<Item = &RuleEntry> {
        let keyed = [&self.tools, &self.resources, &self.prompts].into_iter().flatten().map(|keyed| &keyed.rule);
        let classified = self.categories.iter().map(|of| &of.rule).chain(self.risks.iter().map(|of| &of.rule));
        self.all_tools.iter().map(|rule| &rule.value).chain(classified).chain(keyed)
    }

    pub(crate) fn asks(&self) -> bool {
        let asks = |rule: &RuleEntry| rule.action == Action::RequireApproval || !rule.approve_if.is_empty();
        !self.shadow && self.rules().any(|rule| asks(rule) && !rule.shadow)
    }

    pub(crate) fn hides(&self) -> bool {
        !self.shadow && (!self.hide.is_empty() || self.rules().any(|rule| rule.action == Action::Hide && !rule.shadow))
    }
}

impl Place {
    pub(crate) fn under(self, rule: &RulePointer) -> RulePointer {
        match self {
            Self::Alone(key) => rule.join([key]),
            Self::InList(key, number) => rule.join([key, &number.to_string()]),
            Self::Below(key, number, below) => rule.join([key, &number.to_string(), below]),
            Self::Condition(key, number, index) => {
                rule.join([key, &number.to_string(), "conditions", &index.to_string()])
            }
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::Fixed(ONE)
    }
}

impl KeyedRule {
    /// Whether names are listed by this key. `"*"` means `all_tools`, and lists nothing.
    pub(crate) fn lists(&self) -> bool {
        !self.pattern.value.is_everything()
    }
}

impl RuleEntry {
    pub(crate) fn predicates(&self) -> impl Iterator<Item = &PredicateEntry> {
        self.require.iter().chain(&self.deny_if).chain(&self.approve_if)
    }

    pub(crate) fn all_limits(&self) -> impl Iterator<Item = &LimitEntry> {
        self.rate_limit.iter().chain(&self.limits)
    }
}
