//! What a command has to say: as a table for people, or as JSON for programs.

use std::fmt::Write as _;

use gateway::{is_unseen, visible};
use serde_json::Value;

/// What there is to say.
#[derive(Debug)]
pub struct Told {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
    /// Said after the table.
    after: String,
    /// Said to who looks on, and no part of what is kept.
    aside: String,
    json: Value,
}

impl Told {
    /// A table of objects: each column is a member.
    pub(super) fn table(columns: &'static [&'static str], items: Vec<Value>) -> Self {
        let row = |item: &Value| columns.iter().map(|column| cell(item.get(*column))).collect();
        Self {
            columns,
            rows: items.iter().map(row).collect(),
            after: String::new(),
            aside: String::new(),
            json: Value::Array(items),
        }
    }

    pub(super) fn line(text: impl Into<String>, json: Value) -> Self {
        Self { columns: &[], rows: Vec::new(), after: text.into(), aside: String::new(), json }
    }

    pub(super) fn after(self, text: impl Into<String>, json: Value) -> Self {
        Self { after: text.into(), json, ..self }
    }

    pub(super) fn beside(self, aside: impl Into<String>) -> Self {
        Self { aside: aside.into(), ..self }
    }

    pub fn json(&self) -> &Value {
        &self.json
    }

    /// For programs, on one line: what would move a terminal's cursor, or is not seen, stands in strings as JSON escapes it.
    pub fn json_line(&self) -> String {
        escaped(&self.json.to_string())
    }

    /// The same, on many lines.
    pub fn json_text(&self) -> String {
        escaped(&format!("{:#}", self.json))
    }

    /// For people, on stderr: what goes to stdout may be kept in a file. Empty where there is nothing to say.
    pub fn aside(&self) -> &str {
        &self.aside
    }

    /// For people.
    pub fn text(&self) -> String {
        let width = |column: usize, name: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([name.len()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(n, name)| width(n, name)).collect();
        let mut text = String::new();
        let head: Vec<String> = self.columns.iter().map(|name| name.to_uppercase()).collect();
        let head = (!self.columns.is_empty()).then_some(&head);
        for row in head.into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                // Writing to a `String` cannot fail.
                _ = write!(line, "{cell:<width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if !self.after.is_empty() {
            text.push_str(&self.after);
            text.push('\n');
        }
        text
    }
}

/// Text of others may not move the cursor, nor hide.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Object(members)) => match (members.get("by"), members.get("path")) {
            (Some(_), Some(Value::String(path))) => path.clone(),
            (Some(Value::String(by)), None) => by.clone(),
            _ => {
                members.iter().map(|(key, value)| format!("{key}={}", cell(Some(value)))).collect::<Vec<_>>().join(",")
            }
        },
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        Some(Value::Number(number)) => number.to_string(),
    };
    visible(&text)
}

/// Such characters stand in the strings of JSON only; between them there are spaces and line breaks.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c != '\n' && (c.is_control() || is_unseen(c)) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| _ = write!(text, "\\u{unit:04x}")),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Told;

    #[test]
    fn json_is_what_it_was_and_shows_what_hides() {
        let json = json!({ "a": "\u{202e}\u{9b}\u{1b}\u{e0041}é", "b": [1, 2] });
        let told = Told::line("", json.clone());
        for text in [told.json_line(), told.json_text()] {
            assert!(text.contains("\\u202e\\u009b\\u001b\\udb40\\udc41é"), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), json);
        }
    }

    #[test]
    fn columns_stand_under_their_names() {
        let told = Told::table(
            &["id", "enabled", "managed"],
            vec![
                json!({ "id": "a", "enabled": true, "managed": { "by": "api" } }),
                json!({ "id": "longer\u{1b}[2J", "enabled": false, "managed": { "by": "file", "path": "/etc/t.toml" } }),
            ],
        );
        assert_eq!(
            told.text(),
            "ID                ENABLED  MANAGED\na                 yes      api\nlonger\\u{1b}[2J  no       /etc/t.toml\n"
                .replace("ID                ", "ID               ")
                .replace("a                 ", "a                ")
        );
    }
}
