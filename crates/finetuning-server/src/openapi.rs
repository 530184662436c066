//! An OpenAPI document as a set of operations: each with a JSON Schema for its parameters, and a way to a request that stays at the
//! configured endpoint whatever the parameters say.

mod operation;
mod read;

pub(crate) use operation::Operation;

use std::collections::BTreeMap;

use azure_finetuning::ApiSurface;

/// The operations of a document, by name.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) operations: BTreeMap<String, Operation>,
    /// The names of those that cannot be served, though the document is right: their parameters refer to themselves.
    pub(crate) left_out: Vec<String>,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    #[error("it is neither YAML nor JSON: {0}")]
    Syntax(String),
    #[error("it has no `paths`")]
    NoPaths,
    #[error("two operations are called `{0}`: give each an `operationId` of its own")]
    Twice(String),
    #[error("`{at}` refers to `{target}`, and only references into the document itself are followed")]
    ForeignReference { at: String, target: String },
    #[error("`{at}` refers to `{target}`, which does not exist")]
    DeadReference { at: String, target: String },
    #[error("`{at}` refers to `{target}`, which refers to itself")]
    Recursive { at: String, target: String },
    #[error("`{0}` is nested too deeply, or refers to itself")]
    TooDeep(String),
    #[error("`{0}` and the operations before it are too large, once their references are written out")]
    TooLarge(String),
    #[error("the path `{0}` has a part that cannot be a path's: write `/name` or `/{{parameter}}`")]
    Path(String),
    #[error("the parameter `{{{name}}}` of `{path}` is not described")]
    Undescribed { name: String, path: String },
    #[error("the parameters of `{name}` make no JSON Schema: {why}")]
    Schema { name: String, why: String },
    #[error("it has more than {0} operations")]
    TooMany(usize),
}

impl Document {
    /// The operations that can be had without a document of one's own: four, and all of them read.
    pub(crate) fn built_in(surface: &ApiSurface) -> Result<Self, InvalidDocument> {
        let text = include_str!("openapi/built_in.yaml");
        // On the v1 surface the same operations lie one segment deeper.
        if matches!(surface, ApiSurface::Dated(_)) {
            Self::parse(text, surface)
        } else {
            Self::parse(&text.replace("  /openai/", "  /openai/v1/"), surface)
        }
    }

    pub(crate) fn parse(text: &str, surface: &ApiSurface) -> Result<Self, InvalidDocument> {
        read::document(text, surface)
    }
}
