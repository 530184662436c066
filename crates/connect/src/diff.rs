//! What would change, as people know it from `diff -u`.

use similar::TextDiff;

/// How many lines stand around a change. Few: other entries may have secrets in them.
const CONTEXT: usize = 2;

/// The difference between two texts of a file; an absent text is `/dev/null`.
pub fn diff(file: &str, before: Option<&str>, after: Option<&str>) -> String {
    let name = |text: Option<&str>| if text.is_some() { file.to_owned() } else { "/dev/null".to_owned() };
    let texts = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
    texts.unified_diff().context_radius(CONTEXT).header(&name(before), &name(after)).to_string()
}
