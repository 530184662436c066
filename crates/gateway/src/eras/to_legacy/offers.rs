//! What a client offers a server to ask it for. It decides which session a request may use, so it is read into a small closed set.

use mcp::{Object, ServerMethod, meta};

/// The capabilities that a legacy server may use, and nothing else of what was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Offers {
    sampling: Option<Sampling>,
    form: bool,
    pub(super) url: bool,
    roots: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Sampling {
    context: bool,
    tools: bool,
}

/// What a modern request says of its client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    pub(super) offers: Offers,
    /// The tasks extension.
    pub(super) tasks: bool,
}

impl Declared {
    /// Of a request's `_meta`, as the policy let it through.
    pub(super) fn of(meta: Option<&str>) -> Self {
        let all = meta.and_then(Object::read).and_then(|meta| meta.object(meta::CLIENT_CAPABILITIES));
        let all = all.unwrap_or_default();
        let extensions = all.object("extensions").unwrap_or_default();
        Self { offers: Offers::of(&all), tasks: extensions.get(meta::TASKS).is_some() }
    }
}

impl Offers {
    fn of(all: &Object<'_>) -> Self {
        let has = |of: &Object<'_>, key| of.get(key).is_some();
        let sampling = all.object("sampling");
        let elicitation = all.object("elicitation");
        Self {
            sampling: sampling.map(|it| Sampling { context: has(&it, "context"), tools: has(&it, "tools") }),
            form: elicitation.as_ref().is_some_and(|it| has(it, "form") || !has(it, "url")),
            url: elicitation.as_ref().is_some_and(|it| has(it, "url")),
            roots: has(all, "roots"),
        }
    }

    /// Does a server with this client have anything to ask for?
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// As `initialize` declares it.
    pub(super) fn to_json(self) -> String {
        let mut members = Vec::new();
        if let Some(Sampling { context, tools }) = self.sampling {
            members.push(format!("\"sampling\":{}", object(&[("context", context), ("tools", tools)])));
        }
        if self.form || self.url {
            // Only a form is what servers older than the two modes know.
            let modes = if self.url { [("form", self.form), ("url", true)] } else { [("form", false), ("url", false)] };
            members.push(format!("\"elicitation\":{}", object(&modes)));
        }
        if self.roots {
            members.push("\"roots\":{}".to_owned());
        }
        format!("{{{}}}", members.join(","))
    }

    /// May the server ask for this?
    pub(super) fn permits(self, method: ServerMethod, params: Option<&str>) -> bool {
        let params = params.and_then(Object::read).unwrap_or_default();
        match method {
            ServerMethod::Ping => true,
            ServerMethod::Roots => self.roots,
            ServerMethod::Sample => {
                let with_tools = params.get("tools").is_some() || params.get("toolChoice").is_some();
                self.sampling.is_some_and(|sampling| sampling.tools || !with_tools)
            }
            ServerMethod::Elicit => match params.text("mode").as_deref() {
                None | Some("form") => self.form && params.get("mode").is_none_or(|mode| mode.get().starts_with('"')),
                Some("url") => self.url,
                Some(_) => false,
            },
        }
    }
}

fn object(members: &[(&str, bool)]) -> String {
    let present = members.iter().filter(|(_, present)| *present);
    let present: Vec<String> = present.map(|(key, _)| format!("\"{key}\":{{}}")).collect();
    format!("{{{}}}", present.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(json: &str) -> Offers {
        Offers::of(&Object::read(json).unwrap())
    }

    #[track_caller]
    fn check(declared: &str, told: &str) {
        assert_eq!(offers(declared).to_json(), told);
        assert_eq!(offers(told), offers(declared), "what is told means what was declared");
    }

    #[test]
    fn what_is_told_is_what_legacy_knows() {
        check("{}", "{}");
        check(r#"{"elicitation":{}}"#, r#"{"elicitation":{}}"#);
        check(r#"{"elicitation":{"form":{}},"x":1}"#, r#"{"elicitation":{}}"#);
        check(r#"{"elicitation":{"url":{"x":1}}}"#, r#"{"elicitation":{"url":{}}}"#);
        check(
            r#"{"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true}}"#,
            r#"{"elicitation":{"form":{},"url":{}},"roots":{}}"#,
        );
        check(r#"{"sampling":{},"extensions":{"a/b":{}}}"#, r#"{"sampling":{}}"#);
        check(r#"{"sampling":{"tools":{},"context":{}}}"#, r#"{"sampling":{"context":{},"tools":{}}}"#);
    }

    #[test]
    fn only_what_was_declared_is_asked() {
        use ServerMethod::{Elicit, Ping, Roots, Sample};
        let all = offers(r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{}}"#);
        for (method, params) in [
            (Ping, "{}"),
            (Roots, "{}"),
            (Sample, r#"{"tools":[]}"#),
            (Elicit, "{}"),
            (Elicit, r#"{"mode":"form"}"#),
            (Elicit, r#"{"mode":"url"}"#),
        ] {
            assert!(all.permits(method, Some(params)), "{method:?} {params}");
            assert_eq!(Offers::default().permits(method, Some(params)), method == Ping, "{method:?} {params}");
        }
        assert!(!all.permits(Elicit, Some(r#"{"mode":"x"}"#)) && !all.permits(Elicit, Some(r#"{"mode":7}"#)));
        assert!(!offers(r#"{"sampling":{}}"#).permits(Sample, Some(r#"{"tools":[]}"#)));
        assert!(!offers(r#"{"elicitation":{}}"#).permits(Elicit, Some(r#"{"mode":"url"}"#)));
        assert!(!offers(r#"{"elicitation":{"url":{}}}"#).permits(Elicit, Some("{}")));
    }
}
