//! One operation: what it takes, and the request that it is with given parameters.

use azure_finetuning::{HttpMethod, ModelId, RawRequest};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) method: HttpMethod,
    /// As the document writes it.
    pub(crate) path: String,
    pub(crate) segments: Vec<Segment>,
    pub(crate) description: String,
    pub(crate) parameters: Vec<Parameter>,
    /// The value of `api-version`, if the operation takes one.
    pub(crate) api_version: Option<String>,
    /// Of all parameters together, and of the body under `body`.
    pub(crate) schema: Value,
    pub(crate) validator: jsonschema::Validator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Parameter(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) is_in_path: bool,
    pub(crate) is_required: bool,
    pub(crate) schema: Value,
}

impl Operation {
    pub(crate) fn reads_only(&self) -> bool {
        self.method == HttpMethod::GET
    }

    /// What `list_dynamic_swagger_tools` says of it.
    pub(crate) fn shown(&self) -> Value {
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        json!({
            "name": self.name, "method": self.method.as_str(), "path": self.path, "description": self.description,
            "parameters": names, "input_schema": self.schema,
        })
    }

    /// The request with these parameters, which are checked here.
    pub(crate) fn request(&self, given: &Map<String, Value>) -> Result<RawRequest, Failure> {
        let value = Value::Object(given.clone());
        let wrong: Vec<String> =
            self.validator.iter_errors(&value).take(5).map(|error| crate::server::told(&error)).collect();
        if !wrong.is_empty() {
            return Err(Failure::argument("params", wrong.join("; ")));
        }
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => Ok(text.clone()),
            Segment::Parameter(name) => {
                let text = given.get(name).and_then(written).unwrap_or_default();
                // The rules of an id: such a text stays in its segment, before and after a URL is normalised.
                text.parse::<ModelId>().map_err(|error| Failure::argument(name, error))?;
                Ok(text)
            }
        };
        let path = self.segments.iter().map(segment).collect::<Result<Vec<_>, Failure>>()?;
        let mut query = Vec::new();
        for parameter in self.parameters.iter().filter(|parameter| !parameter.is_in_path) {
            match given.get(&parameter.name) {
                Some(Value::Array(items)) => {
                    query.extend(items.iter().filter_map(written).map(|text| (parameter.name.clone(), text)));
                }
                Some(value) => query.extend(written(value).map(|text| (parameter.name.clone(), text))),
                None => {}
            }
        }
        query.extend(self.api_version.iter().map(|version| ("api-version".to_owned(), version.clone())));
        Ok(RawRequest { method: self.method.clone(), path, query, body: given.get("body").cloned() })
    }
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
