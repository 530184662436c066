//! Where files are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use connect::{Error, Os, Place, Surroundings, clients};

use crate::client;

fn of_user(id: &str, os: Os, variables: &[(&str, &str)]) -> Result<Place, Error> {
    let variable = |name: &str| -> Option<OsString> {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    };
    Place::of_user(&client(id), &Surroundings { os, variable: &variable, project: Path::new("/p") })
}

#[track_caller]
fn check(id: &str, os: Os, variables: &[(&str, &str)], own: &str, file: &str) {
    let expected = Place { own: PathBuf::from(own), file: PathBuf::from(own).join(file) };
    assert_eq!(of_user(id, os, variables).unwrap(), expected);
}

#[test]
fn each_system_has_its_places() {
    let home = [("HOME", "/h")];
    let windows = [("USERPROFILE", "/h"), ("APPDATA", "/r")];
    check("claude-code", Os::Linux, &home, "/h", ".claude.json");
    check("claude-code", Os::Linux, &[("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "/c")], "/c", ".claude.json");
    check("claude-desktop", Os::MacOs, &home, "/h/Library/Application Support/Claude", "claude_desktop_config.json");
    check("claude-desktop", Os::Windows, &windows, "/r/Claude", "claude_desktop_config.json");
    check("claude-desktop", Os::Windows, &windows[..1], "/h/AppData/Roaming/Claude", "claude_desktop_config.json");
    check("cursor", Os::Windows, &windows, "/h/.cursor", "mcp.json");
    check("vscode", Os::Linux, &home, "/h/.config/Code", "User/mcp.json");
    check("vscode", Os::Linux, &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")], "/x/Code", "User/mcp.json");
    check("vscode", Os::MacOs, &home, "/h/Library/Application Support/Code", "User/mcp.json");
    check("codex", Os::Linux, &[("CODEX_HOME", "/c")], "/c", "config.toml");
    check("gemini-cli", Os::Linux, &[("GEMINI_CLI_HOME", "/g")], "/g/.gemini", "settings.json");
    check("windsurf", Os::MacOs, &home, "/h/.codeium/windsurf", "mcp_config.json");
    check("zed", Os::MacOs, &home, "/h/.config/zed", "settings.json");
    check("zed", Os::Windows, &windows, "/r/Zed", "settings.json");
}

#[test]
fn a_relative_variable_is_passed_over() {
    check("codex", Os::Linux, &[("CODEX_HOME", "c"), ("HOME", "/h")], "/h/.codex", "config.toml");
    assert!(matches!(of_user("codex", Os::Linux, &[("HOME", "")]), Err(Error::NoHome)));
    assert!(matches!(of_user("codex", Os::Windows, &[("HOME", "/h")]), Err(Error::NoHome)));
}

#[test]
fn projects_have_files_where_the_client_has_projects() {
    let here = Surroundings { os: Os::Linux, variable: &|_| None, project: Path::new("/p") };
    let files = clients().unwrap().into_iter().map(|client| match Place::of_project(&client, &here) {
        Ok(place) => {
            assert_eq!(place.own, Path::new("/p"));
            place.file.display().to_string()
        }
        Err(error) => error.to_string(),
    });
    assert_eq!(
        files.collect::<Vec<_>>(),
        [
            "/p/.mcp.json",
            "Claude Desktop has no file for a project",
            "/p/.cursor/mcp.json",
            "/p/.vscode/mcp.json",
            "/p/.codex/config.toml",
            "/p/.gemini/settings.json",
            "Windsurf has no file for a project",
            "/p/.zed/settings.json",
        ]
    );
}

#[test]
fn a_folder_is_made_where_the_client_is() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("Code");
    let place = Place { own: own.clone(), file: own.join("User/mcp.json") };
    let error = place.check(false).unwrap_err().to_string();
    assert!(error.ends_with("Code`: is the client installed? `--create` makes the folder"), "{error}");
    place.check(true).unwrap();
    assert!(!own.exists());
    std::fs::create_dir(&own).unwrap();
    place.check(false).unwrap();
    place.make().unwrap();
    assert!(own.join("User").is_dir());
    let named = Place::of_file(&folder.path().join("new/x.json"));
    assert!(named.check(false).is_err());
    named.make().unwrap();
    assert!(folder.path().join("new").is_dir());
    let here = Place::of_file(Path::new("x.json"));
    here.check(false).unwrap();
    here.make().unwrap();
}
