//! The stable names of findings: what a person looks up, and what a tool may rely on.

/// What kind of error or warning a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Error: not JSON with comments.
    Syntax,
    /// Error: two equal keys in one object, at any depth.
    DuplicateKey,
    /// Error: a key that the language does not have there.
    UnknownKey,
    /// Error: what this version does not do; `fmt` leaves YAML alone.
    NotYet,
    /// Error: `version`, the `max` or `window` of a limit, or a part of a condition, is not there.
    MissingKey,
    /// Error: any `version` but the string `"1"`.
    UnknownVersion,
    /// Error: a string where an object belongs, and the like.
    WrongType,
    /// Error: not one of the words that may stand there.
    UnknownValue,
    /// Error: two keys that exclude each other.
    Conflict,
    /// Error: a pattern that no name can match.
    BadPattern,
    /// Error: a window that is no duration, zero or too long.
    BadWindow,
    /// Error: a `max` that is not above zero, too fine or too large.
    BadMax,
    /// Error: a rate that is not `"10/minute"` or the like.
    BadRate,
    /// Error: a name that a counter cannot have.
    BadCounter,
    /// Error: a path that leads to nothing a condition may ask about.
    BadPath,
    /// Error: a value that the operator of a condition cannot use.
    BadValue,
    /// Error: a regular expression that does not compile, or would be too large.
    BadRegex,
    /// Error: a time of a case that is none, or that lies before the last.
    BadTime,
    /// Error: a cost that no call can have.
    BadCost,
    /// Error: a rule by category or risk, where no catalogue says which tools have one.
    NoCatalogue,
    /// Note: what another dialect says means something a little different here. Warning: what other readers of YAML take
    /// for a boolean.
    Lowered,
    /// Warning: tools are hidden where all others are denied anyway.
    HidesOnly,
    /// Warning: a rule or limit that no call can meet.
    NeverApplies,
    /// Warning: conditions that no call can meet.
    Impossible,
    /// Warning: a tool of critical risk that any call may use.
    AllowsCritical,
    /// Warning: a tool that the server does not have.
    UnknownTool,
    /// Warning: an argument that the tool does not have.
    UnknownArgument,
    /// Warning: `deny_if` or `approve_if` on an argument that a call may leave out.
    OptionalArgument,
    /// Warning: a rule in shadow that lets through what would be denied without it.
    ShadowAllows,
    /// Warning: a limit that lets no call through.
    NeverPasses,
    /// Warning: limits that let calls pass uncounted while their store does not answer.
    PassesUncounted,
    /// Warning: an approval that nobody may give.
    NobodyApproves,
    /// Warning: `*` used as if it listed names.
    ListsNothing,
    /// Warning: a name that may only look like another.
    NonAscii,
    /// Warning: a character that is special elsewhere, not here.
    NotAGlob,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "policy::syntax",
            Self::DuplicateKey => "policy::duplicate_key",
            Self::UnknownKey => "policy::unknown_key",
            Self::NotYet => "policy::not_yet",
            Self::MissingKey => "policy::missing_key",
            Self::UnknownVersion => "policy::unknown_version",
            Self::WrongType => "policy::wrong_type",
            Self::UnknownValue => "policy::unknown_value",
            Self::Conflict => "policy::conflict",
            Self::BadPattern => "policy::bad_pattern",
            Self::BadWindow => "policy::bad_window",
            Self::BadMax => "policy::bad_max",
            Self::BadRate => "policy::bad_rate",
            Self::BadCounter => "policy::bad_counter",
            Self::BadPath => "policy::bad_path",
            Self::BadValue => "policy::bad_value",
            Self::BadRegex => "policy::bad_regex",
            Self::BadTime => "policy::bad_time",
            Self::BadCost => "policy::bad_cost",
            Self::NoCatalogue => "policy::no_catalogue",
            Self::Lowered => "policy::lowered",
            Self::HidesOnly => "policy::hides_only",
            Self::NeverApplies => "policy::never_applies",
            Self::Impossible => "policy::impossible",
            Self::AllowsCritical => "policy::allows_critical",
            Self::UnknownTool => "policy::unknown_tool",
            Self::UnknownArgument => "policy::unknown_argument",
            Self::OptionalArgument => "policy::optional_argument",
            Self::ShadowAllows => "policy::shadow_allows",
            Self::NeverPasses => "policy::never_passes",
            Self::PassesUncounted => "policy::passes_uncounted",
            Self::NobodyApproves => "policy::nobody_approves",
            Self::ListsNothing => "policy::lists_nothing",
            Self::NonAscii => "policy::non_ascii",
            Self::NotAGlob => "policy::not_a_glob",
        }
    }
}
