//! Arguments that a tool wants mirrored in `Mcp-Param-*` headers: `x-mcp-header` in its `inputSchema` (MCP 2026-07-28).

use std::collections::HashSet;

use serde_json::{Value, value::RawValue};

use crate::{Object, decode, encode, object::text, strict};

/// JavaScript's safe integers: the only ones that an annotation may mirror.
const MAX_INTEGER: f64 = 9_007_199_254_740_991.0;

/// One argument and the header that mirrors it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `Mcp-Param-…`, in lower case.
    pub header: String,
    path: Vec<String>,
}

/// Why a header and its argument do not agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorFault {
    #[error("header `{0}` is missing")]
    Missing(String),
    #[error("header `{0}` does not match its argument")]
    Mismatch(String),
}

/// The mirrored arguments of a tool definition; none when an annotation breaks the rules, and the definition with it.
pub fn mirrors(tool: &RawValue) -> Option<Vec<Mirror>> {
    let definition = Object::read(tool.get())?;
    let Some(schema) = definition.get("inputSchema") else { return Some(Vec::new()) };
    if !schema.get().contains("x-mcp-header") && !schema.get().contains('\\') {
        return Some(Vec::new());
    }
    strict::check(schema.get()).ok()?; // INVARIANT: nobody else can find other annotations than we do
    let schema: Value = serde_json::from_str(schema.get()).ok()?;
    let mut found = Vec::new();
    walk(&schema, &mut Vec::new(), &mut found)?;
    let distinct = found.iter().map(|mirror| mirror.header.as_str()).collect::<HashSet<_>>().len();
    (distinct == found.len() && annotations(&schema) == distinct).then_some(found)
}

/// Follows chains of `properties` only.
fn walk(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirror>) -> Option<()> {
    if let Some(annotation) = schema.get("x-mcp-header") {
        let name = annotation.as_str().filter(|name| !name.is_empty() && name.bytes().all(is_tchar))?;
        let primitive = matches!(schema.get("type")?.as_str()?, "string" | "integer" | "boolean");
        if path.is_empty() || !primitive {
            return None;
        }
        found.push(Mirror { header: format!("mcp-param-{}", name.to_ascii_lowercase()), path: path.clone() });
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            path.push(name.clone());
            walk(property, path, found)?;
            path.pop();
        }
    }
    Some(())
}

/// How many annotations there are anywhere, lawful places or not.
fn annotations(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            let here = usize::from(members.contains_key("x-mcp-header") && !is_property_map(members));
            here + members.values().map(annotations).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(annotations).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// An argument may itself be called `x-mcp-header`; its schema is then an object.
fn is_property_map(members: &serde_json::Map<String, Value>) -> bool {
    members.get("x-mcp-header").is_some_and(Value::is_object)
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Mirror {
    /// The header value for these arguments; none when the argument is absent or null. The client's header must agree.
    pub fn header_value(&self, arguments: Option<&str>, given: Option<&[u8]>) -> Result<Option<String>, MirrorFault> {
        let argument = arguments.and_then(|arguments| self.argument(arguments));
        match (argument, given) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(MirrorFault::Missing(self.header.clone())),
            (None, Some(_)) => Err(MirrorFault::Mismatch(self.header.clone())),
            (Some(argument), Some(given)) => {
                let said = decode(given).ok();
                let value = said.and_then(|said| mirrored(argument, &said));
                value.map(Some).ok_or_else(|| MirrorFault::Mismatch(self.header.clone()))
            }
        }
    }

    /// The header value that a client would send with these arguments; none when there is nothing to mirror.
    pub fn written(&self, arguments: Option<&str>) -> Option<String> {
        let argument = self.argument(arguments?)?;
        match argument.get().as_bytes().first()? {
            b'"' => text(argument).map(|text| encode(&text).into_owned()),
            b't' | b'f' => Some(argument.get().to_owned()),
            b'[' | b'{' => None, // no annotation mirrors these
            _ => integer(argument.get()).map(|whole| whole.to_string()),
        }
    }

    fn argument<'a>(&self, arguments: &'a str) -> Option<&'a RawValue> {
        let (last, chain) = self.path.split_last()?;
        let mut object = Object::read(arguments)?;
        for step in chain {
            object = object.object(step)?;
        }
        object.get(last).filter(|argument| argument.get() != "null")
    }
}

/// The header value to write for this argument, if what the client's header says is the same.
fn mirrored(argument: &RawValue, said: &str) -> Option<String> {
    match argument.get().as_bytes().first()? {
        b'"' => text(argument).filter(|text| text == said).map(|text| encode(&text).into_owned()),
        b't' | b'f' => (argument.get() == said).then(|| said.to_owned()),
        b'[' | b'{' => None, // no annotation mirrors these
        _ => integer(argument.get()).filter(|whole| integer(said) == Some(*whole)).map(|whole| whole.to_string()),
    }
}

/// The integer that a number is, if every reader takes it for that one.
fn integer(number: &str) -> Option<i64> {
    let double = number.parse::<f64>().ok()?;
    (double.fract() == 0.0 && double.abs() <= MAX_INTEGER).then_some(double as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(properties: &str) -> String {
        format!(r#"{{"name":"t","inputSchema":{{"type":"object","properties":{properties}}}}}"#)
    }

    fn read(definition: &str) -> Option<Vec<Mirror>> {
        mirrors(serde_json::from_str(definition).unwrap())
    }

    #[track_caller]
    fn headers(properties: &str, expected: Option<&[&str]>) {
        let found = read(&tool(properties));
        let names = found.as_ref().map(|found| found.iter().map(|mirror| mirror.header.as_str()).collect::<Vec<_>>());
        assert_eq!(names.as_deref(), expected, "{properties}");
    }

    #[test]
    fn annotations_in_lawful_places_only() {
        headers(r#"{"q":{"type":"string"}}"#, Some(&[]));
        headers(r#"{"region":{"type":"string","x-mcp-header":"Region"}}"#, Some(&["mcp-param-region"]));
        headers(
            r#"{"a":{"type":"object","properties":{"b":{"type":"integer","x-mcp-header":"B"}}}}"#,
            Some(&["mcp-param-b"]),
        );
        headers(r#"{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}"#, None);
        headers(r#"{"a":{"type":"number","x-mcp-header":"A"}}"#, None);
        headers(r#"{"a":{"type":"string","x-mcp-header":""}}"#, None);
        headers(r#"{"a":{"type":"string","x-mcp-header":"A B"}}"#, None);
        headers(r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#, None);
        headers(r#"{"x-mcp-header":{"type":"string"}}"#, Some(&[]));
        headers(r#"{"a":{"type":"string","x-mcp-header":"A","x-mcp-header":"B"}}"#, None);
    }

    #[track_caller]
    fn agree(arguments: &str, given: Option<&str>, expected: Result<Option<&str>, &str>) {
        let definition = tool(r#"{"v":{"type":"string","x-mcp-header":"V"}}"#);
        let mirror = read(&definition).unwrap().remove(0);
        let got = mirror.header_value(Some(arguments), given.map(str::as_bytes)).map_err(|fault| fault.to_string());
        assert_eq!(got.as_ref().map(Option::as_deref).map_err(String::as_str), expected, "{arguments} {given:?}");
    }

    #[test]
    fn what_is_written_is_what_is_accepted() {
        let definition = tool(r#"{"v":{"type":"string","x-mcp-header":"V"}}"#);
        let mirror = read(&definition).unwrap().remove(0);
        for arguments in [r#"{"v":"eu"}"#, r#"{"v":"ü "}"#, r#"{"v":42.0}"#, r#"{"v":true}"#, r#"{"v":"=?base64?x?="}"#]
        {
            let written = mirror.written(Some(arguments)).unwrap();
            assert_eq!(mirror.header_value(Some(arguments), Some(written.as_bytes())), Ok(Some(written.clone())));
        }
        for arguments in ["{}", r#"{"v":null}"#, r#"{"v":[1]}"#, r#"{"v":1.5}"#] {
            assert_eq!(mirror.written(Some(arguments)), None, "{arguments}");
        }
    }

    #[test]
    fn header_and_argument() {
        agree(r#"{"v":"eu"}"#, Some("eu"), Ok(Some("eu")));
        agree(r#"{"v":"eu"}"#, Some("us"), Err("header `mcp-param-v` does not match its argument"));
        agree(r#"{"v":"eu"}"#, None, Err("header `mcp-param-v` is missing"));
        agree("{}", None, Ok(None));
        agree(r#"{"v":null}"#, None, Ok(None));
        agree("{}", Some("eu"), Err("header `mcp-param-v` does not match its argument"));
        agree(r#"{"v":"Hello"}"#, Some("=?base64?SGVsbG8=?="), Ok(Some("Hello")));
        agree(r#"{"v":"Hello"}"#, Some("=?base64?SGVsbG8?="), Err("header `mcp-param-v` does not match its argument"));
        agree(r#"{"v":42}"#, Some("42.0"), Ok(Some("42")));
        agree(r#"{"v":42.0}"#, Some("42"), Ok(Some("42")));
        agree(r#"{"v":"42"}"#, Some("42.0"), Err("header `mcp-param-v` does not match its argument"));
        agree(
            r#"{"v":9007199254740993}"#,
            Some("9007199254740992"),
            Err("header `mcp-param-v` does not match its argument"),
        );
        agree(r#"{"v":-0}"#, Some("0"), Ok(Some("0")));
        agree(r#"{"v":9007199254740991}"#, Some("9007199254740991"), Ok(Some("9007199254740991")));
        agree(
            r#"{"v":9007199254740992}"#,
            Some("9007199254740992"),
            Err("header `mcp-param-v` does not match its argument"),
        );
        agree(r#"{"v":1.5}"#, Some("1.5"), Err("header `mcp-param-v` does not match its argument"));
        agree(r#"{"v":["eu"]}"#, Some("[\"eu\"]"), Err("header `mcp-param-v` does not match its argument"));
        agree(r#"{"v":["eu"]}"#, None, Err("header `mcp-param-v` is missing"));
        agree(r#"{"v":true}"#, Some("true"), Ok(Some("true")));
        agree(r#"{"v":"ü"}"#, Some("=?base64?w7w=?="), Ok(Some("=?base64?w7w=?=")));
    }
}
