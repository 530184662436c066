//! `toolgate serve`, and `toolgate` alone.

use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::program::{Gateway, run, toolgate};

#[test]
fn it_says_when_it_is_ready_and_ends_well_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::start(folder.path(), &[]);
        for address in [gateway.data, gateway.admin] {
            TcpStream::connect(address).unwrap();
        }
        gateway.signal(signal);
        assert_eq!(gateway.end(), Some(0), "SIG{signal}");
    }
}

#[test]
fn with_nothing_configured_it_shows_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start(folder.path(), &[]);
    let mut curls = Vec::new();
    while curls.len() < 2 {
        let paragraph = gateway.paragraph();
        curls.extend(paragraph.starts_with("  curl ").then_some(paragraph));
    }
    for (curl, expected) in curls.iter().zip(["succeeded", "Starting a job costs money"]) {
        match Command::new("sh").args(["-c", curl]).output().unwrap() {
            output if output.status.code() == Some(127) => eprintln!("SKIPPED the tour's calls: no curl here"),
            output => {
                let answer = String::from_utf8(output.stdout).unwrap();
                assert!(answer.contains(expected), "no {expected} in {answer}");
            }
        }
    }
}

#[test]
fn an_address_in_use_is_a_runtime_error() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let data = format!("listen.data={}", taken.local_addr().unwrap());
    let (code, stdout, stderr) =
        run(&mut toolgate(folder.path(), &["--set", &data, "--set", "listen.admin=127.0.0.1:0"]));
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.starts_with("error: cannot start: "), "{stderr}");
}

#[test]
fn a_bad_configuration_starts_nothing_and_says_everything() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("toolgate.toml"), "[bounds]\nbodi = 1\n").unwrap();
    let mut command = toolgate(folder.path(), &["--set", "listen.data=0.0.0.0:4480"]);
    let (code, stdout, stderr) = run(command.env("TOOLGATE__BOUNDS__DRAIN", "soon"));
    assert_eq!((code, stdout.as_str()), (2, ""));
    let expected = "error: `bounds.drain` is \"soon\", expected a duration such as \"500ms\", \"30s\" or \"5m\", from 0s to 1h (env TOOLGATE__BOUNDS__DRAIN)\n\
                    error: `listen.data` is 0.0.0.0:4480, which other machines may reach, and nothing authenticates them: give agents tokens and set `auth.mode = \"tokens\"`, or bind to 127.0.0.1 (flag listen.data)\n\
                    error: there is no setting `bounds.bodi` (file toolgate.toml), did you mean `bounds.body`?\n";
    let mut lines: Vec<&str> = stderr.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
}

#[test]
fn the_effective_settings_are_shown_without_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[servers.s]\nurl = \"http://h/mcp\"\npolicy = \"p.json\"\nheaders = { Authorization = \"CANARY\" }\n";
    std::fs::write(folder.path().join("other.toml"), toml).unwrap();
    let mut command = toolgate(folder.path(), &["serve", "-c", "other.toml", "--print-config", "--log-level", "warn"]);
    let (code, stdout, stderr) = run(command.env("TOOLGATE__SERVERS__S__HEADERS__X_KEY", "CANARY"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(!stdout.contains("CANARY"), "{stdout}");
    let lines: Vec<String> = stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "log.level = \"warn\" # flag log.level",
        "servers.s.headers.Authorization = \"***\" # file other.toml",
        "servers.s.headers.x-key = \"***\" # env TOOLGATE__SERVERS__S__HEADERS__X_KEY",
    ] {
        assert!(lines.iter().any(|line| line == expected), "no {expected} in {stdout}");
    }
}
