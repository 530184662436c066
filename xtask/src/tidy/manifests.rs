//! Manifests: lints are inherited, and each dependency stands once, in the workspace, in order, used. What is a workspace of its own
//! answers for itself.

use super::Files;

pub(super) fn check(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    let mut used = String::new();
    let members = files.named(|name| name.ends_with("/Cargo.toml"));
    for (name, text) in members.filter(|(_, text)| !text.contains("\n[workspace]\n")) {
        if !text.contains("\n[lints]\nworkspace = true\n") {
            problems.push(format!("{name}: does not inherit the workspace's lints"));
        }
        let own = dependencies(text, "dependencies]").filter(|(_, value)| !value.contains("workspace = true"));
        problems.extend(own.map(|(key, _)| format!("{name}: `{key}` does not come from [workspace.dependencies]")));
        used.push_str(text);
    }
    let Some((_, workspace)) = files.named(|name| name == "Cargo.toml").next() else {
        return vec!["Cargo.toml is missing".to_owned()];
    };
    let keys: Vec<&str> = dependencies(workspace, "[workspace.dependencies]").map(|(key, _)| key).collect();
    let used = |key: &str| used.lines().any(|line| key_of(line) == Some(key));
    problems.extend(keys.iter().filter(|key| !used(key)).map(|key| format!("Cargo.toml: nobody uses `{key}`")));
    problems
}

/// Key and value of each line in the sections whose heading ends so.
fn dependencies<'a>(manifest: &'a str, heading: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut inside = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            inside = line.ends_with(heading);
            return None;
        }
        let key = key_of(line).filter(|_| inside)?;
        Some((key, line))
    })
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.split(['=', '.']).next()?.trim();
    (!key.is_empty() && !key.starts_with('#') && line.contains('=')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_manifest() {
        let lints = "\n[lints]\nworkspace = true\n";
        let files = [
            (
                "Cargo.toml",
                "[workspace.dependencies]\n# theirs\na = \"1\"\nb = { version = \"1\" }\nlost = \"1\"\n".to_owned(),
            ),
            (
                "crates/good/Cargo.toml",
                format!(
                    "[dependencies]\na.workspace = true\n[target.'cfg(x)'.dependencies]\nb = {{ workspace = true }}\n{lints}"
                ),
            ),
            (
                "apart/Cargo.toml",
                "[package]\nname = \"apart\"\n\n[workspace]\n\n[dependencies]\nlost = \"2\"\n".to_owned(),
            ),
            ("crates/bad/Cargo.toml", "[package]\nname = \"bad\"\n[dev-dependencies]\na = \"1\"\n".to_owned()),
        ];
        let files = Files(files.map(|(name, text)| (name.to_owned(), text)).to_vec());
        let expected = [
            "crates/bad/Cargo.toml: does not inherit the workspace's lints",
            "crates/bad/Cargo.toml: `a` does not come from [workspace.dependencies]",
            "Cargo.toml: nobody uses `lost`",
        ];
        assert_eq!(check(&files), expected);
    }
}
