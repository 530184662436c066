//! Cuts items out of a list result. What stays, stays byte for byte; what cannot be read unambiguously goes.

use serde_json::value::RawValue;

use crate::{ListOf, Listed, Object};

/// A filtered result, as JSON text.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    pub json: String,
    pub dropped: usize,
}

/// Keeps the items that `keep` approves. None when the result is no list at all: then nothing may be served.
///
/// Where items were dropped, `cacheScope` becomes `private`: another caller may be shown another list.
pub fn filter_list(result: &RawValue, of: ListOf, mut keep: impl FnMut(Listed<'_>) -> bool) -> Option<Kept> {
    let whole = result.get();
    let members = Object::read(whole)?;
    let list = members.get(of.member())?;
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let kept: Vec<&str> = items
        .iter()
        .filter(|item| {
            let name = Object::read(item.get()).and_then(|item| item.text(of.key()));
            name.is_some_and(|name| keep(Listed { of, name: &name }))
        })
        .map(|item| item.get())
        .collect();
    let dropped = items.len() - kept.len();
    if dropped == 0 {
        return Some(Kept { json: whole.to_owned(), dropped });
    }
    let mut edits = vec![(list, format!("[{}]", kept.join(",")))];
    if let Some(scope) = members.get("cacheScope") {
        edits.push((scope, "\"private\"".to_owned()));
    }
    Some(Kept { json: splice(whole, edits)?, dropped })
}

/// Puts the JSON text `new` in place of the member at `path`, all else untouched. None when there is no such member.
pub fn replace(whole: &str, path: &[&str], new: &str) -> Option<String> {
    let (last, chain) = path.split_last()?;
    let mut object = Object::read(whole)?;
    for step in chain {
        object = object.object(step)?;
    }
    splice(whole, vec![(object.get(last)?, new.to_owned())])
}

/// Replaces parts of `whole`, each a slice of it, by other text.
pub(crate) fn splice(whole: &str, mut edits: Vec<(&RawValue, String)>) -> Option<String> {
    let start = |raw: &RawValue| (raw.get().as_ptr() as usize).checked_sub(whole.as_ptr() as usize);
    edits.sort_by_key(|(raw, _)| start(raw));
    let mut out = String::with_capacity(whole.len());
    let mut at = 0;
    for (raw, text) in edits {
        let from = start(raw)?;
        out.push_str(whole.get(at..from)?);
        out.push_str(&text);
        at = from + raw.get().len();
    }
    out.push_str(whole.get(at..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(of: ListOf, result: &str, expected: Option<&str>) {
        let raw: &RawValue = serde_json::from_str(result).unwrap();
        let kept = filter_list(raw, of, |item| item.name.starts_with('a'));
        assert_eq!(kept.as_ref().map(|kept| kept.json.as_str()), expected);
    }

    #[test]
    fn items_and_unknown_fields() {
        use ListOf::*;
        let all = r#"{ "tools" : [ {"name":"a1", "x-vendor" : 1.50} ], "extra": {"k" : []} }"#;
        check(Tools, all, Some(all));
        check(
            Tools,
            r#"{"ttlMs":5, "tools":[{"name":"b"}, {"name" : "a", "execution":{ "taskSupport":"optional"}}],"cacheScope":"public"}"#,
            Some(
                r#"{"ttlMs":5, "tools":[{"name" : "a", "execution":{ "taskSupport":"optional"}}],"cacheScope":"private"}"#,
            ),
        );
        check(Tools, r#"{"tools":[{"name":"\u0061"},{"name":"b"}]}"#, Some(r#"{"tools":[{"name":"\u0061"}]}"#));
        check(Resources, r#"{"resources":[{"uri":"b:"},{"uri":"a:"}]}"#, Some(r#"{"resources":[{"uri":"a:"}]}"#));
        check(Templates, r#"{"resourceTemplates":[{"uriTemplate":"b:{x}"}]}"#, Some(r#"{"resourceTemplates":[]}"#));
    }

    #[test]
    fn one_member_replaced() {
        let whole = r#"{"_meta" : {"a":1, "id":  7 },"x":"\u0041"}"#;
        assert_eq!(
            replace(whole, &["_meta", "id"], "\"c\"").unwrap(),
            r#"{"_meta" : {"a":1, "id":  "c" },"x":"\u0041"}"#
        );
        assert_eq!(replace(whole, &["_meta", "no"], "1"), None);
        assert_eq!(replace(whole, &["x", "id"], "1"), None);
    }

    #[test]
    fn ambiguity_is_not_served() {
        use ListOf::*;
        check(Tools, r#"{"tools":[{"name":"a","name":"a2"},{"name":"a"}]}"#, Some(r#"{"tools":[{"name":"a"}]}"#));
        check(Tools, r#"{"tools":[{"name":7},"a",{"Name":"a"}]}"#, Some(r#"{"tools":[]}"#));
        check(Tools, r#"{"tools":[],"tools":[{"name":"b"}]}"#, None);
        check(Tools, r#"{"tools":{"name":"b"}}"#, None);
        check(Tools, r#"{"prompts":[]}"#, None);
        check(Tools, r#"[{"name":"a"}]"#, None);
    }
}
