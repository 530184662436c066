//! `toolgate connect`: the files of MCP clients.

use std::fs;
use std::path::Path;

use crate::program::{run, toolgate};

const CLIENTS: [&str; 8] =
    ["claude-code", "claude-desktop", "cursor", "vscode", "codex", "gemini-cli", "windsurf", "zed"];

/// Runs it with a home of its own; what differs from machine to machine is made the same.
fn connect(home: &Path, args: &[&str]) -> (i32, String, String) {
    let (code, stdout, stderr) = run(toolgate(home, &[&["connect"], args].concat()).env("HOME", home));
    let same = |text: String| {
        let text = text.replace(env!("CARGO_BIN_EXE_toolgate"), "/usr/bin/toolgate");
        text.replace(&home.canonicalize().unwrap().display().to_string(), "~").replace(&home.display().to_string(), "~")
    };
    (code, same(stdout), same(stderr))
}

/// A home with one file in it.
fn home(file: &str, text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    home
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

const CURSOR: &str = ".cursor/mcp.json";
const MINE: &str = "{\n  // mine\n  \"mcpServers\": {\n    \"files\": { \"command\": \"mcp-files\" }\n  }\n}\n";

#[test]
fn what_each_client_is_told() {
    let home = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for client in CLIENTS {
        for args in [
            &[][..],
            &["--server", "github", "--token-env", "TOKEN"],
            &["--stdio"],
            &["--stdio", "--token-env", "TOKEN"],
        ] {
            let (code, stdout, stderr) = connect(home.path(), &[&[client, "--print"], args].concat());
            let command = [&["$ toolgate connect", client, "--print"], args].concat().join(" ");
            told += &format!("{command}\n{stdout}{stderr}({code})\n\n");
        }
    }
    assert_eq!(files(home.path()), 0, "printing touches nothing");
    insta::assert_snapshot!("connect_print", told);
}

#[test]
fn the_clients_are_listed_with_their_files() {
    let home = home(CURSOR, MINE);
    fs::create_dir(home.path().join(".codex")).unwrap();
    let (code, stdout, stderr) = connect(home.path(), &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    #[cfg(target_os = "linux")]
    insta::assert_snapshot!("connect_list", stdout);
    let (_, json, _) = connect(home.path(), &["--format", "json"]);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ids: Vec<&str> = list["clients"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, CLIENTS, "{stdout}");
    assert_eq!(list["clients"][2]["state"], "there");
    let (_, projects, _) = connect(home.path(), &["--project"]);
    assert!(projects.contains("~/.vscode/mcp.json") && !projects.contains("windsurf"), "{projects}");
}

#[test]
fn a_file_is_written_once_and_can_be_taken_back() {
    let home = home(CURSOR, MINE);
    let file = home.path().join(CURSOR);
    let (code, stdout, stderr) = connect(home.path(), &["cursor", "--yes"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("connect_written", stdout);
    let written = fs::read_to_string(&file).unwrap();
    insta::assert_snapshot!("connect_file", written);

    let (code, stdout, _) = connect(home.path(), &["cursor", "--yes"]);
    assert_eq!((code, stdout.as_str()), (0, "`~/.cursor/mcp.json` is so already: nothing to do\n"));
    assert_eq!(
        (fs::read_to_string(&file).unwrap(), files(file.parent().unwrap())),
        (written, 2),
        "and no other backup"
    );

    let (code, stdout, _) = connect(home.path(), &["cursor", "--undo", "--yes"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!("connect_undone", stdout);
    assert_eq!((fs::read_to_string(&file).unwrap().as_str(), files(file.parent().unwrap())), (MINE, 1));
    let (code, _, stderr) = connect(home.path(), &["cursor", "--undo", "--yes"]);
    assert_eq!((code, stderr.as_str()), (1, "error: `~/.cursor/mcp.json` has no backup of Toolgate's\n"));
}

#[test]
fn nothing_is_written_unasked() {
    let home = home(CURSOR, MINE);
    let (code, asked, stderr) = connect(home.path(), &["cursor"]);
    let says = "error: nothing was written: there is no terminal to ask on; `--yes` says yes\n";
    assert_eq!((code, stderr.as_str()), (2, says));
    let (code, dry, stderr) = connect(home.path(), &["cursor", "--dry-run"]);
    assert_eq!((code, dry, stderr.as_str()), (0, format!("{asked}nothing was written\n"), ""));
    assert!(asked.starts_with("--- ~/.cursor/mcp.json\n+++ ~/.cursor/mcp.json\n@@"), "{asked}");
    assert_eq!(connect(home.path(), &["cursor", "--format", "json"]).0, 2);
    assert_eq!(connect(home.path(), &["codex", "--dry-run", "--create"]).0, 0);
    assert_eq!(fs::read_to_string(home.path().join(CURSOR)).unwrap(), MINE);
    assert_eq!((files(home.path()), files(&home.path().join(".cursor"))), (1, 1));
}

#[test]
fn what_was_written_since_is_kept() {
    let home = home(CURSOR, MINE);
    let file = home.path().join(CURSOR);
    connect(home.path(), &["cursor", "--yes"]);
    let mine = fs::read_to_string(&file).unwrap().replace("mine", "mine, later");
    fs::write(&file, &mine).unwrap();
    let (code, stdout, stderr) = connect(home.path(), &["cursor", "--undo", "--yes"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("error: `~/.cursor/mcp.json` was changed since Toolgate wrote it"), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), mine);
    assert_eq!(connect(home.path(), &["cursor", "--remove", "--yes"]).0, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), MINE.replace("mine", "mine, later"));
}

#[test]
fn a_broken_file_is_left_alone() {
    let home = home(CURSOR, "{ \"mcpServers\": { }\n");
    let (code, stdout, stderr) = connect(home.path(), &["cursor", "--yes"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("error: `~/.cursor/mcp.json`:1:1: "), "{stderr}");
    assert_eq!(fs::read_to_string(home.path().join(CURSOR)).unwrap(), "{ \"mcpServers\": { }\n");
    assert_eq!(files(&home.path().join(".cursor")), 1);
}

#[test]
fn folders_are_made_for_clients_that_are_there() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, stderr) = connect(home.path(), &["codex", "--yes"]);
    let says = "error: there is no folder `~/.codex`: is the client installed? `--create` makes the folder\n";
    assert_eq!((code, stderr.as_str(), files(home.path())), (2, says, 0));
    assert_eq!(connect(home.path(), &["codex", "--yes", "--create", "--server", "github", "--server", "jira"]).0, 0);
    let toml = fs::read_to_string(home.path().join(".codex/config.toml")).unwrap();
    assert!(toml.contains("[mcp_servers.github]") && toml.contains("[mcp_servers.jira]"), "{toml}");
    assert_eq!(connect(home.path(), &["codex", "--undo", "--yes"]).0, 0);
    assert_eq!(files(&home.path().join(".codex")), 0, "there was no file");
    // The project is there, whether the client was ever started in it or not.
    assert_eq!(connect(home.path(), &["vscode", "--project", "--yes"]).0, 0);
    assert!(home.path().join(".vscode/mcp.json").exists());
    assert_eq!(connect(home.path(), &["zed", "--config-file", "z.json", "--name", "gate", "--yes"]).0, 0);
    assert!(fs::read_to_string(home.path().join("z.json")).unwrap().contains("\"gate\""));
}

#[test]
fn programs_get_json() {
    let home = home(CURSOR, MINE);
    let (code, stdout, _) = connect(home.path(), &["cursor", "--yes", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["outcome"], &report["client"]), (0, &"written".into(), &"cursor".into()));
    assert!(report["diff"].as_str().unwrap().contains("+    \"toolgate\": {"), "{stdout}");
    assert!(report["backup"].as_str().unwrap().starts_with("~/.cursor/mcp.json.toolgate-backup-1-"), "{stdout}");
    let (_, stdout, _) = connect(home.path(), &["cursor", "--undo", "--yes", "--format", "json"]);
    assert!(stdout.contains("\"outcome\": \"restored\""), "{stdout}");
    let (_, stdout, _) = connect(home.path(), &["codex", "--print", "--format", "json"]);
    assert!(stdout.contains("[mcp_servers.toolgate]\\nurl = "), "{stdout}");
}

#[test]
fn a_token_is_named_and_never_repeated() {
    let home = home(CURSOR, MINE);
    let secret = "eyJhbGciOiJIUzI1NiJ9.s3cret";
    let (code, stdout, stderr) = connect(home.path(), &["cursor", "--yes", "--token-env", secret]);
    assert_eq!((code, stdout.contains("s3cret") || stderr.contains("s3cret")), (2, false), "{stderr}");
    let remote = ["cursor", "--dry-run", "--token-env", "TOKEN", "--url", "http://gate.example"];
    let (code, stdout, stderr) = connect(home.path(), &remote);
    assert_eq!((code, stderr.as_str()), (0, "warning: the token would travel to another machine without TLS\n"));
    assert!(stdout.contains("\"Authorization\": \"Bearer ${env:TOKEN}\""), "{stdout}");
}

#[test]
fn what_makes_no_sense_is_said() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, stderr) = connect(home.path(), &["emacs"]);
    let says = format!("error: there is no client `emacs`: expected one of {}\n", CLIENTS.join(", "));
    assert_eq!((code, stderr), (2, says));
    for args in [
        &["cursor", "--server", "Not_An_Id_"][..],
        &["cursor", "--server", "a", "--server", "b", "--name", "c"],
        &["cursor", "--undo", "--remove"],
        &["cursor", "--url", "http://127.0.0.1:4480/mcp"],
        &["windsurf", "--project"],
        &["--yes"],
    ] {
        assert_eq!(connect(home.path(), args).0, 2, "{args:?}");
    }
}

#[test]
fn the_help_says_all_of_it() {
    let home = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help_connect", connect(home.path(), &["--help"]).1);
}
