//! The commands that manage a gateway that runs, from the first login on.

use std::path::Path;
use std::process::Command;

use crate::program::{Gateway, run, toolgate};

const CONFIG: &str =
    "[auth]\nmode = \"tokens\"\n[servers.s]\nurl = \"http://127.0.0.1:9/mcp\"\npolicy = \"policy.json\"\n";
const POLICY: &str = r#"{ "version": "1", "tools": { "a": {} } }"#;

pub(crate) struct Managed {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) gateway: Gateway,
    token: String,
}

fn managed() -> Managed {
    managed_with(CONFIG, POLICY)
}

/// A gateway, and the token of its first admin.
pub(crate) fn managed_with(config: &str, policy: &str) -> Managed {
    managed_in(tempfile::tempdir().unwrap(), config, policy)
}

fn managed_in(folder: tempfile::TempDir, config: &str, policy: &str) -> Managed {
    std::fs::write(folder.path().join("toolgate.toml"), config).unwrap();
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    let mut gateway = Gateway::start(folder.path(), &[]);
    let line = gateway.line();
    let link =
        line.split_whitespace().find(|word| word.contains("/login#")).unwrap_or_else(|| panic!("{line}")).to_owned();
    let (code, token, stderr) = run(&mut toolgate(folder.path(), &["admins", "login", &link]));
    assert_eq!(code, 0, "{stderr}");
    assert!(!gateway.log().contains("tgl_"), "a login link is not for the log");
    let (code, _, stderr) = run(&mut toolgate(folder.path(), &["admins", "login", &link]));
    assert_eq!(code, 1, "a link is good once: {stderr}");
    Managed { folder, gateway, token: token.trim().to_owned() }
}

impl Managed {
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        run(&mut self.command(args))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let url = format!("http://{}", self.gateway.admin);
        let mut command = toolgate(self.folder.path(), &[args, &["--url", &url]].concat());
        command.env("TOOLGATE_ADMIN_TOKEN", &self.token);
        command
    }

    pub(crate) fn says(&self, args: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        stdout
    }
}

#[test]
fn a_gateway_is_managed_by_commands() {
    let managed = managed();
    let added = managed.says(&["agents", "add", "bot", "--server", "s", "--label", "team=x"]);
    assert!(added.lines().last().unwrap().starts_with("tg_"), "{added}");
    assert!(managed.says(&["agents", "list"]).contains("bot"));
    let (code, _, stderr) = managed.run(&["agents", "add", "bot", "--all-servers"]);
    assert_eq!((code, stderr.contains("is there already")), (1, true), "{stderr}");
    let (code, stdout, stderr) = managed.run(&["agents", "rotate", "bot", "--overlap", "1m", "--expires-in", "1d"]);
    assert_eq!((code, stderr.contains("is good until 20")), (0, true), "{stderr}");
    assert!(stdout.contains("good until 20") && stdout.lines().last().unwrap().starts_with("tg_"), "{stdout}");
    managed.says(&["agents", "revoke", "bot"]);
    managed.says(&["agents", "remove", "bot"]);
    let listed = managed.says(&["servers", "list", "--format", "json"]);
    assert!(listed.contains("\"by\": \"file\""), "{listed}");
    let (code, _, stderr) = managed.run(&["servers", "remove", "s"]);
    assert_eq!((code, stderr.contains("toolgate.toml")), (1, true), "{stderr}");
    managed.says(&["policies", "put", "p", "policy.json"]);
    managed.says(&["servers", "add", "t", "http://127.0.0.1:9/mcp", "--policy", "p"]);
    managed.says(&["servers", "show", "t"]);
    std::fs::write(managed.folder.path().join("bad.json"), "{ \"version\": \"1\",\n  \"tool\": {} }").unwrap();
    let (code, _, stderr) = managed.run(&["policies", "put", "p", "bad.json"]);
    assert_eq!((code, stderr.contains("2:")), (1, true), "{stderr}");
    assert!(managed.says(&["admins", "list"]).contains("admin"));
    let (code, token, stderr) =
        managed.run(&["admins", "add", "ann", "--role", "viewer", "--group", "leads", "--token"]);
    assert_eq!((code, token.starts_with("tga_"), token.lines().count()), (0, true, 1), "for a file: {stderr}");
    assert!(stderr.contains("`ann`") && !stderr.contains("tga_"), "{stderr}");
    std::fs::write(managed.folder.path().join("token"), token).unwrap();
    let twofold = |args: &[&str]| run(managed.command(args).env("TOOLGATE_ADMIN_TOKEN_FILE", "token"));
    let (code, _, stderr) = twofold(&["admins", "list"]);
    assert_eq!((code, stderr.contains("are both set")), (2, true), "{stderr}");
    let (code, _, stderr) = managed.run(&["admins", "list", "--token-file", "token"]);
    assert_eq!((code, stderr.contains("`viewer`")), (1, true), "an argument says which one: {stderr}");
    let set = managed.says(&["admins", "set", "ann", "--role", "approver", "--format", "json"]);
    assert!(set.contains("\"leads\"") && set.contains("\"approver\""), "{set}");
    let set = managed.says(&["admins", "set", "ann", "--no-groups", "--enabled", "false"]);
    assert!(!set.contains("leads") && set.contains("no"), "{set}");
    assert!(managed.says(&["admins", "link", "ann"]).contains("/login#tgl_"));
}

/// The secret is in a file or comes by stdin: arguments are seen by others.
#[test]
fn credentials_are_set_from_files_and_sealed_anew_when_the_key_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let (code, key, stderr) = run(&mut toolgate(folder.path(), &["store", "new-key"]));
        assert_eq!((code, key.trim().len()), (0, 43), "{stderr}");
        std::fs::write(folder.path().join(name), &key).unwrap();
        key
    };
    let (old, new) = (key("store.key"), key("new"));
    let config = format!("{CONFIG}[store]\nkey = {{ file = \"store.key\" }}\n");
    let managed = managed_in(folder, &config, POLICY);
    std::fs::write(managed.folder.path().join("secret"), "Bearer canary\n").unwrap();
    let set = ["credentials", "set", "s", "--header", "Authorization", "--file", "secret"];
    assert!(managed.says(&set).contains("authorization"));
    assert!(managed.says(&set).contains("authorization"), "once more, in its place");
    let oauth = r#"{ "token_url": "https://id.example/t", "client_id": "gate", "client_secret": "canary" }"#;
    std::fs::write(managed.folder.path().join("oauth.json"), oauth).unwrap();
    managed.says(&[
        "credentials",
        "set",
        "s",
        "--agent",
        "bot",
        "--id",
        "s-bot",
        "--kind",
        "oauth",
        "--file",
        "oauth.json",
    ]);
    let listed = managed.says(&["credentials", "list"]);
    assert!(listed.contains("s-bot") && listed.contains("client `gate`") && !listed.contains("canary"), "{listed}");
    let (code, _, stderr) = managed.run(&["credentials", "set", "s", "--kind", "headers", "--file", "secret"]);
    assert_eq!((code, stderr.contains("is not JSON"), stderr.contains("canary")), (3, true, false), "{stderr}");
    let (code, ..) = managed.run(&["credentials", "set", "s", "--header", "Authorization=Bearer canary"]);
    assert_ne!(code, 0);

    std::fs::write(managed.folder.path().join("store.key"), format!("{new}{old}")).unwrap();
    let reseal = || run(&mut toolgate(managed.folder.path(), &["store", "reseal"]));
    assert_eq!(reseal(), (0, "2 sealed anew, 0 were so before\n".to_owned(), String::new()));
    std::fs::write(managed.folder.path().join("store.key"), new).unwrap();
    assert_eq!(reseal(), (0, "0 sealed anew, 2 were so before\n".to_owned(), String::new()));
    managed.says(&["credentials", "remove", "s-bot"]);
    std::fs::write(managed.folder.path().join("store.key"), old).unwrap();
    let (code, stdout, _) = reseal();
    assert_eq!((code, stdout.contains("`s` cannot be opened")), (1, true), "{stdout}");
}

#[test]
fn without_a_token_or_a_gateway_it_is_said_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let asked = |args: &[&str], token: Option<&str>| {
        let mut command = toolgate(folder.path(), args);
        command.envs(token.map(|token| ("TOOLGATE_ADMIN_TOKEN", token)));
        run(&mut command)
    };
    let (code, _, stderr) = asked(&["agents", "list"], None);
    assert_eq!((code, stderr.contains("TOOLGATE_ADMIN_TOKEN")), (2, true), "{stderr}");
    let token = format!("tga_{}", "x".repeat(43));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, stderr) = asked(&["agents", "list", "--url", &format!("http://{closed}")], Some(&token));
    assert_eq!((code, stderr.contains("is `toolgate serve` running there?")), (3, true), "{stderr}");
    let (code, _, stderr) = asked(&["agents", "list", "--url", "http://gate.example"], Some(&token));
    assert_eq!((code, stderr.contains("https only")), (2, true), "{stderr}");
    assert!(!Path::new(&folder.path().join("data")).exists());
}

/// The log says what came into force, unless it is to say less.
#[test]
fn the_logs_level_changes_while_the_gateway_runs() {
    let managed = managed();
    let listed = managed.says(&["settings", "list"]);
    assert!(listed.contains("log.level") && listed.contains("default"), "{listed}");
    let heard = |rounds: usize| {
        let before = managed.gateway.log().len();
        managed.says(&["settings", "set", "approvals.rounds", &rounds.to_string()]);
        managed.gateway.log().get(before..).unwrap_or_default().contains("is in force")
    };
    let until = |wanted: bool| assert!((1..200).any(|rounds| heard(rounds) == wanted), "{}", managed.gateway.log());
    until(true);
    managed.says(&["settings", "set", "log.level", "error"]);
    until(false);
    assert!(!heard(300) && !heard(301), "it stays so");
    let (code, _, stderr) = managed.run(&["settings", "set", "log.level", "loud"]);
    assert_eq!((code, stderr.contains("`log.level` is \"loud\"")), (1, true), "{stderr}");
    for _ in 0..2 {
        let unset = managed.says(&["settings", "unset", "log.level"]);
        assert!(unset.contains("info") && unset.contains("default"), "{unset}");
    }
    until(true);
    let (code, _, stderr) = managed.run(&["settings", "set", "approvals.rounds", "-1"]);
    assert_eq!((code, stderr.contains("from 1 to")), (1, true), "{stderr}");
    let (_, told, _) = run(&mut toolgate(managed.folder.path(), &["audit", "tail", "-n", "1000"]));
    assert!(
        told.contains("setting.put approvals.rounds") || told.contains("setting.create approvals.rounds"),
        "{told}"
    );
    assert!(told.contains("changed  setting log.level from - to \"error\""), "{told}");
}
