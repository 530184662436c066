//! What names, patterns and counters look like.

use serde_json::{Value, json};

/// Neither empty nor with a control character.
pub(super) const NAMES: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";

/// A name, and not a glob.
pub(super) const EXACT: &str = r"^[^*?\u0000-\u001f\u007f-\u009f]+$";

/// Not those of limits without a name, which start with `/`.
pub(super) const COUNTERS: &str = r"^[^/\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

pub(super) fn pattern() -> Value {
    json!({
        "description": "An exact name, or a glob: `*` is any run of characters, `?` one. Compared byte for byte.",
        "type": "string", "pattern": NAMES, "examples": ["get_issue", "list_*"],
    })
}
