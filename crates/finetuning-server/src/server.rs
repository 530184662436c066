//! rmcp's view of the server: the list, and a call from its arguments to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Map, Value};

use crate::args::Args;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::table::{Category, TOOLS};
use crate::tools::{self, Definition};
use crate::{Settings, SettingsError, table};

/// The tool that may be any operation of the OpenAPI document.
const ANY: &str = "execute_dynamic_swagger_action";

type Context = RequestContext<RoleServer>;

/// The tools, for one resource. Cheap to clone; clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct FineTuningServer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// In the order of the table.
    tools: Vec<Tool>,
    prepared: BTreeMap<&'static str, Prepared>,
}

#[derive(Debug)]
struct Prepared {
    arguments: Vec<String>,
    validator: jsonschema::Validator,
}

impl FineTuningServer {
    /// # Errors
    /// None that a caller could cause.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let definitions: BTreeMap<&str, Definition> =
            tools::definitions().into_iter().map(|definition| (definition.name, definition)).collect();
        let (mut tools, mut prepared) = (Vec::new(), BTreeMap::new());
        for entry in &TOOLS {
            let Some(definition) = definitions.get(entry.name) else { continue };
            let names = definition.input.get("properties").and_then(Value::as_object);
            let arguments = names.map(|names| names.keys().cloned().collect()).unwrap_or_default();
            let schema = |name: &str, why: String| {
                SettingsError::BuiltIn(crate::openapi::InvalidDocument::Schema { name: name.to_owned(), why })
            };
            let validator = validator(&definition.input).map_err(|why| schema(entry.name, why))?;
            prepared.insert(entry.name, Prepared { arguments, validator });
            tools.push(tool(entry, definition, &settings));
        }
        Ok(Self { shared: Arc::new(Shared { settings, tools, prepared }) })
    }

    /// Every tool as clients see it.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.shared.tools
    }

    async fn call(&self, name: &str, arguments: Map<String, Value>, context: &Context) -> Option<CallToolResult> {
        let prepared = self.shared.prepared.get(name)?;
        let checked = prepared.check(arguments);
        let progress = Progress::of(context);
        let answered = match checked {
            Err(failure) => Err(failure),
            // Dropping the work drops its request. What a cancelled creation did is for the caller to look up, as after any lost answer.
            Ok(args) => tokio::select! {
                biased;
                answered = tools::run(&self.shared.settings, name, &args, &progress) => answered,
                () = context.ct.cancelled() => Err(Failure::Cancelled),
            },
        };
        tracing::debug!(tool = name, ok = answered.is_ok(), "a tool was called");
        Some(answered.map_or_else(Failure::into_result, CallToolResult::structured))
    }
}

impl Prepared {
    fn check(&self, arguments: Map<String, Value>) -> Result<Args, Failure> {
        // Some models write null for what they do not need.
        let arguments: Map<String, Value> = arguments.into_iter().filter(|(_, value)| !value.is_null()).collect();
        let unknown = arguments.keys().find(|name| !self.arguments.contains(name));
        if let Some(unknown) = unknown {
            let near = |known: &&String| strsim::damerau_levenshtein(known, unknown) <= 2.max(unknown.len() / 3);
            let hint = match self.arguments.iter().find(near) {
                Some(known) => format!("did you mean `{known}`?"),
                None if self.arguments.is_empty() => "it takes none".to_owned(),
                None => format!("it takes {}", self.arguments.join(", ")),
            };
            let unknown: String = unknown.chars().take(64).collect();
            return Err(Failure::Argument(format!("there is no argument `{}`; {hint}", unknown.escape_debug())));
        }
        let value = Value::Object(arguments);
        let wrong: Vec<String> = self.validator.iter_errors(&value).take(5).map(|error| told(&error)).collect();
        if let Value::Object(arguments) = value
            && wrong.is_empty()
        {
            return Ok(Args::new(arguments));
        }
        Err(Failure::Argument(wrong.join("; ")))
    }
}

/// What is wrong with a value, and where; not more than a line's worth.
pub(crate) fn told(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let what: String = error.to_string().chars().take(300).collect();
    if place.is_empty() { what } else { format!("`{}`: {what}", place.trim_start_matches('/')) }
}

/// Compiles a schema. References to other documents are errors: nothing is ever fetched.
pub(crate) fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(schema).map_err(|error| error.to_string())
}

fn tool(entry: &table::Entry, definition: &Definition, settings: &Settings) -> Tool {
    let members = |schema: &Value| Arc::new(schema.as_object().cloned().unwrap_or_default());
    let annotations = ToolAnnotations::new()
        .read_only(entry.category == Category::Read)
        // What may call anything may delete.
        .destructive(entry.category == Category::Destructive || (entry.name == ANY && settings.dynamic_writes))
        .idempotent(definition.is_idempotent)
        .open_world(!matches!(entry.evidence, "no request"));
    Tool::new(entry.name, definition.description, members(&definition.input))
        .with_raw_output_schema(members(&definition.output))
        .with_annotations(annotations)
}

impl ServerHandler for FineTuningServer {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new("azure-finetuning", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(about)
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.shared.tools.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(&self, call: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let arguments = call.arguments.unwrap_or_default();
        match self.call(&call.name, arguments, &context).await {
            Some(result) => Ok(result.into()),
            None => Err(ErrorData::invalid_params(format!("Unknown tool: {}", call.name), None)),
        }
    }
}
