//! How a client learns that its call waits for a person: the best way that it can show. Says which, and builds nothing.

use mcp::{Method, Object, Params, Revision, meta};

/// What a client said that it can show its user, before any policy took something out: a policy says what a *server* may ask for, and
/// here it is the gateway that asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shows {
    /// The tasks extension of 2026-07-28.
    pub(crate) tasks: bool,
    pub(crate) url: bool,
    pub(crate) form: bool,
}

/// A call that waits, as far as its way depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) method: Method,
    pub(crate) revision: Revision,
    pub(crate) knows: Knows,
    /// There is a page to send somebody to.
    pub(crate) page: bool,
    /// Who asks may say yes itself, and can be shown all that it says yes to.
    pub(crate) consents: bool,
}

/// What a client knows of it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    Nothing,
    /// It was told, and comes back for the answer.
    Waits,
    /// It was told, and its user will not do anything about it.
    Declined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The ticket, at once.
    Ticket,
    /// A task, which is polled.
    Task,
    /// `input_required`: a page to open.
    Url,
    /// `input_required`: a form to fill in.
    Form,
    /// Error -32042: a page to open (2025-11-25).
    Error,
    /// `elicitation/create` on the stream of the call, which stays open (legacy).
    Asked,
    /// The call stays open and says nothing.
    Held,
}

impl Shows {
    /// Of an `initialize`.
    pub(crate) fn initially(params: &Params<'_>) -> Self {
        Self { tasks: false, ..Self::declared(params.get("capabilities").and_then(Object::read)) }
    }

    /// Of a modern request's own words.
    pub(super) fn declared(capabilities: Option<Object<'_>>) -> Self {
        let all = capabilities.unwrap_or_default();
        let extensions = all.object("extensions").unwrap_or_default();
        let elicitation = all.object("elicitation");
        let has = |mode| elicitation.as_ref().is_some_and(|modes| modes.get(mode).is_some());
        Self {
            tasks: extensions.get(meta::TASKS).is_some(),
            url: has("url"),
            // An empty object means forms, which is all that there was once.
            form: elicitation.is_some() && (has("form") || !has("url")),
        }
    }
}

impl Way {
    pub(crate) fn best(shows: Shows, call: Waits) -> Self {
        let first = call.knows == Knows::Nothing;
        match call.revision {
            _ if call.knows == Knows::Declined => Self::Ticket,
            Revision::V2026_07_28 => Self::modern(shows, call),
            Revision::V2025_11_25 if shows.url && call.page && first => Self::Error,
            Revision::V2025_11_25 | Revision::V2025_06_18 if shows.form && call.consents => Self::Asked,
            Revision::V2025_11_25 | Revision::V2025_06_18 | Revision::V2025_03_26 | Revision::V2024_11_05 => Self::Held,
        }
    }

    fn modern(shows: Shows, call: Waits) -> Self {
        let interactive = matches!(call.method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead);
        match shows {
            // Whoever comes back waits for the answer.
            _ if call.knows != Knows::Nothing => Self::Held,
            Shows { tasks: true, .. } if call.method == Method::ToolsCall => Self::Task,
            Shows { url: true, .. } if interactive && call.page => Self::Url,
            Shows { form: true, .. } if interactive && call.consents => Self::Form,
            Shows { .. } => Self::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"elicitation":{"form":{},"url":{}}}"#;

    fn shows(capabilities: &str) -> Shows {
        Shows::declared(Object::read(capabilities))
    }

    const CALL: Waits = Waits {
        method: Method::ToolsCall,
        revision: Revision::V2026_07_28,
        knows: Knows::Nothing,
        page: true,
        consents: true,
    };

    #[track_caller]
    fn check(capabilities: &str, call: Waits, way: Way) {
        assert_eq!(Way::best(shows(capabilities), call), way, "{capabilities} {call:?}");
    }

    #[test]
    fn what_a_client_declares_is_what_it_is_shown() {
        let of = |tasks, url, form| Shows { tasks, url, form };
        for (declared, expected) in [
            ("{}", of(false, false, false)),
            (r#"{"elicitation":{}}"#, of(false, false, true)),
            (r#"{"elicitation":{"form":{}}}"#, of(false, false, true)),
            (r#"{"elicitation":{"url":{}}}"#, of(false, true, false)),
            (r#"{"elicitation":true}"#, of(false, false, false)),
            (ALL, of(true, true, true)),
            (r#"{"tasks":{},"extensions":{"tasks":{}}}"#, of(false, false, false)),
        ] {
            assert_eq!(shows(declared), expected, "{declared}");
        }
    }

    #[test]
    fn a_modern_client_gets_a_task_a_page_a_form_or_is_held() {
        check(ALL, CALL, Way::Task);
        let prompt = Waits { method: Method::PromptsGet, ..CALL };
        check(ALL, prompt, Way::Url);
        check(ALL, Waits { page: false, ..prompt }, Way::Form);
        check(ALL, Waits { page: false, consents: false, ..prompt }, Way::Held);
        check(ALL, Waits { method: Method::Subscribe, ..CALL }, Way::Held);
        check(r#"{"elicitation":{"url":{}}}"#, CALL, Way::Url);
        check(r#"{"elicitation":{"url":{}}}"#, Waits { page: false, ..CALL }, Way::Held);
        check(r#"{"elicitation":{}}"#, CALL, Way::Form);
        check(r#"{"elicitation":{}}"#, Waits { consents: false, ..CALL }, Way::Held);
        check("{}", CALL, Way::Held);
        check(r#"{"elicitation":{"url":{}}}"#, Waits { knows: Knows::Waits, ..CALL }, Way::Held);
        check(ALL, Waits { knows: Knows::Declined, ..CALL }, Way::Ticket);
    }

    #[test]
    fn a_legacy_client_gets_what_its_revision_has() {
        let of = |revision| Waits { revision, ..CALL };
        check(ALL, of(Revision::V2025_11_25), Way::Error);
        check(ALL, Waits { knows: Knows::Waits, ..of(Revision::V2025_11_25) }, Way::Asked);
        check(ALL, Waits { knows: Knows::Waits, consents: false, ..of(Revision::V2025_11_25) }, Way::Held);
        check(r#"{"elicitation":{}}"#, of(Revision::V2025_11_25), Way::Asked);
        check(ALL, of(Revision::V2025_06_18), Way::Asked);
        for old in [Revision::V2025_03_26, Revision::V2024_11_05] {
            check(ALL, of(old), Way::Held);
        }
    }
}
