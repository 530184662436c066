//! Graders, tried out before a job depends on them.

use azure_finetuning::{Client, Grader};
use serde_json::json;

use super::{Answer, Definition};
use crate::args::Args;
use crate::failure::Failure;
use crate::schema::{input, nullable, output, plain, text};

pub(super) fn definitions() -> Vec<Definition> {
    let grader = (
        "grader",
        json!({ "type": "object", "description": "a grader as the service documents it, with `type` and `name`" }),
    );
    vec![
        Definition {
            name: "validate_grader",
            description: "Whether the service would take a grader, and how it understands it.",
            input: input(std::slice::from_ref(&grader)),
            output: output(&[("valid", plain("boolean")), ("grader", plain("object"))]),
            is_idempotent: true,
        },
        Definition {
            name: "run_grader",
            description: "Grades one answer, which may cost tokens.",
            input: input(&[
                grader,
                ("sample", text("the answer to grade: `{{ sample.output_text }}` in the grader")),
                ("item?", json!({ "type": "object", "description": "what the grader calls `item`" })),
            ]),
            output: output(&[("reward", nullable("number"))]),
            is_idempotent: false,
        },
    ]
}

fn grader(args: &Args) -> Result<Grader, Failure> {
    let grader = args.get("grader").cloned().unwrap_or_default();
    Grader::from_json(grader).map_err(|error| Failure::argument("grader", error))
}

pub(super) async fn validate(client: &Client, args: &Args) -> Answer {
    Ok(json!({ "valid": true, "grader": client.graders().validate(&grader(args)?).await? }))
}

pub(super) async fn run(client: &Client, args: &Args) -> Answer {
    let grade = client.graders().run(&grader(args)?, args.needed("sample")?, args.get("item")).await?;
    let mut answer = json!(grade);
    // A service that gives no reward says so by leaving it out.
    if let Some(members) = answer.as_object_mut() {
        members.entry("reward").or_insert(serde_json::Value::Null);
    }
    Ok(answer)
}
