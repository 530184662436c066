//! Three policies, each in three languages, and what is asked of them.

/// A policy, and calls of it.
pub struct Case {
    pub name: String,
    pub calls: Vec<Call>,
    pub(crate) toolgate: String,
    pub(crate) cedar: String,
    /// Cedar's entities: the tools that are in a group.
    pub(crate) entities: String,
    pub(crate) rego: String,
    /// Rego's data.
    pub(crate) data: String,
}

/// What is asked, and the answer.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: &'static str,
    pub tool: &'static str,
    pub arguments: Option<&'static str>,
    pub permitted: bool,
}

pub fn cases() -> [Case; 4] {
    [smallest(), conditions(), many(10), many(1_000)]
}

const fn call(name: &'static str, tool: &'static str, permitted: bool) -> Call {
    Call { name, tool, arguments: None, permitted }
}

/// The smallest useful policy.
fn smallest() -> Case {
    Case {
        name: "1 tool allowed".to_owned(),
        calls: vec![call("permitted", "fetch_finetuning_status", true), call("denied", "delete_finetuning_job", false)],
        toolgate: r#"{ "version": "1", "tools": { "fetch_finetuning_status": {} } }"#.to_owned(),
        cedar: r#"permit(principal, action, resource == Tool::"fetch_finetuning_status");"#.to_owned(),
        entities: "[]".to_owned(),
        rego: r#"
            package toolgate
            default allow := false
            allow if input.tool == "fetch_finetuning_status""#
            .to_owned(),
        data: "{}".to_owned(),
    }
}

/// 300 bytes. All numbers are whole: Cedar has no others.
const TRIAL: &str = r#"{"model":"gpt-4.1-nano","training_file":"file-8Wq2f7kJpZtR3xYv5nLbMd","validation_file":"file-1Aa2Bb3Cc4Dd5Ee6Ff7Gg8","hyperparameters":{"n_epochs":3,"batch_size":8,"learning_rate_multiplier":100},"metadata":{"team":"search","ticket":"ML-1234","note":"first try \"small\" set"},"seed":42,"suffix":"trial-7"}"#;
const PROD: &str = r#"{"model":"gpt-4.1-nano","training_file":"file-8Wq2f7kJpZtR3xYv5nLbMd","validation_file":"file-1Aa2Bb3Cc4Dd5Ee6Ff7Gg8","hyperparameters":{"n_epochs":3,"batch_size":8,"learning_rate_multiplier":100},"metadata":{"team":"search","ticket":"ML-1234","note":"first try \"small\" set"},"seed":42,"suffix":"prod-77"}"#;

/// Three conditions, on the first, the middle and the last of the arguments.
fn conditions() -> Case {
    let call = |name, arguments, permitted| Call { name, tool: "create_job", arguments: Some(arguments), permitted };
    Case {
        name: "3 conditions on 300 bytes".to_owned(),
        calls: vec![call("permitted", TRIAL, true), call("denied", PROD, false)],
        toolgate: r#"{ "version": "1", "tools": { "create_job": {
            "require": [{ "conditions": [
                { "path": "args.model", "op": "in", "value": ["gpt-4.1-mini", "gpt-4.1-nano"] },
                { "path": "args.hyperparameters.n_epochs", "op": "lte", "value": 10 } ] }],
            "deny_if": [{ "conditions": [{ "path": "args.suffix", "op": "contains", "value": "prod" }] }] } } }"#
            .to_owned(),
        cedar: r#"
            permit(principal, action, resource == Tool::"create_job")
            when {
                ["gpt-4.1-mini", "gpt-4.1-nano"].contains(context.model) &&
                context.hyperparameters.n_epochs <= 10
            };
            forbid(principal, action, resource == Tool::"create_job")
            when { context has suffix && context.suffix like "*prod*" };"#
            .to_owned(),
        entities: "[]".to_owned(),
        rego: r#"
            package toolgate
            default allow := false
            allow if {
                input.tool == "create_job"
                input.arguments.model in {"gpt-4.1-mini", "gpt-4.1-nano"}
                input.arguments.hyperparameters.n_epochs <= 10
                not prod
            }
            prod if contains(input.arguments.suffix, "prod")"#
            .to_owned(),
        data: "{}".to_owned(),
    }
}

/// Half of the rules on exact names, half on globs. What Cedar and Rego can look up, they look up: names as members of a group,
/// as keys of an object.
fn many(rules: usize) -> Case {
    let join =
        |separator: &str, one: &dyn Fn(usize) -> String| (0..rules / 2).map(one).collect::<Vec<_>>().join(separator);
    let toolgate =
        join(", ", &|number| format!(r#""service_{number}_get_status": {{}}, "service_{number}_list_*": {{}}"#));
    let globs = join("\n", &|number| {
        format!(r#"permit(principal, action, resource) when {{ context.tool like "service_{number}_list_*" }};"#)
    });
    let entities = join(", ", &|number| {
        format!(
            r#"{{ "uid": {{ "type": "Tool", "id": "service_{number}_get_status" }}, "attrs": {{}},
                 "parents": [{{ "type": "Group", "id": "allowed" }}] }}"#
        )
    });
    let names = join(", ", &|number| format!(r#""service_{number}_get_status": true"#));
    let prefixes = join(", ", &|number| format!(r#""service_{number}_list_""#));
    Case {
        name: format!("{rules} rules"),
        calls: vec![
            call("by name", "service_3_get_status", true),
            call("by glob", "service_3_list_things", true),
            call("denied", "service_3_delete_status", false),
        ],
        toolgate: format!(r#"{{ "version": "1", "tools": {{ {toolgate} }} }}"#),
        cedar: format!("permit(principal, action, resource in Group::\"allowed\");\n{globs}"),
        entities: format!("[{entities}]"),
        rego: r#"
            package toolgate
            default allow := false
            allow if data.names[input.tool]
            allow if {
                some prefix in data.prefixes
                startswith(input.tool, prefix)
            }"#
        .to_owned(),
        data: format!(r#"{{ "names": {{ {names} }}, "prefixes": [{prefixes}] }}"#),
    }
}
