//! Channels for approvals: what may be written, and that what lets one write there is shown nowhere.

use super::tests::{accepted, load};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[track_caller]
fn refused(toml: &str, expected: &str) {
    let error = load(&format!("[approvals.notify.ops]\n{toml}"), &[], &[]).map(drop).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn a_channel_has_an_address_that_is_secured_and_what_its_kind_needs() {
    let hook = "kind = \"webhook\"\nurl = \"https://example.com/hush\"\n";
    refused("url = \"https://example.com/\"", "`approvals.notify.ops.kind` is missing");
    refused("kind = \"pager\"\nurl = \"https://example.com/\"", "must be \"webhook\", \"slack\" or \"mail\"");
    refused("kind = \"slack\"", "`approvals.notify.ops.url` is missing");
    refused("kind = \"slack\"\nurl = \"http://example.com/hush\"", "must be https, or http on this machine");
    refused("kind = \"slack\"\nurl = \"https://hush:hush@example.com/\"", "must not hold user information");
    refused("kind = \"slack\"\nurl = \"https://0x7f.1/hush\"", "has a host that programs read differently");
    refused("kind = \"slack\"\nurl = { env = \"NONE\" }", "needs the variable `NONE`, which is not set");
    refused(
        "kind = \"slack\"\nurl = \"https://example.com/\"\nsecret = \"hush\"",
        "there is no setting `approvals.notify.ops.secret`",
    );
    refused(hook, "`approvals.notify.ops.secret` is missing");
    for secret in ["hush", "whsec_aHVzaGh1c2hodXNo", "whsec_*hush*"] {
        refused(&format!("{hook}secret = \"{secret}\""), "must be 24 to 64 random bytes as base64");
    }
    let mail = "kind = \"mail\"\nfrom = \"Toolgate <toolgate@example.com>\"\nto = [\"ops@example.com\"]\n";
    refused(&format!("{mail}url = \"https://mail.example.com\""), "must be smtps://HOST or smtps://HOST:PORT");
    refused(&format!("{mail}url = \"smtp://mail.example.com\""), "must be smtps, or smtp on this machine");
    refused(&format!("{mail}url = \"smtps://mail.example.com/hush\""), "must be smtps://HOST or smtps://HOST:PORT");
    refused(
        "kind = \"mail\"\nurl = \"smtps://mail.example.com\"\nto = [\"ops@example.com\"]",
        "`approvals.notify.ops.from` is missing",
    );
    refused(
        "kind = \"mail\"\nurl = \"smtps://mail.example.com\"\nfrom = \"a@example.com\"",
        "`approvals.notify.ops.to` is missing",
    );
    refused(
        &format!("{mail}url = \"smtps://mail.example.com\"\nusername = \"u\""),
        "`approvals.notify.ops.password` is missing",
    );
    let error = load("[approvals.notify.Ops]\nkind = \"slack\"\nurl = \"https://example.com/\"", &[], &[]).unwrap_err();
    assert!(error.contains("`approvals.notify.Ops` is not a name"), "{error}");
    let many: String =
        (0..17).map(|n| format!("[approvals.notify.c{n}]\nkind = \"slack\"\nurl = \"https://a.example/\"\n")).collect();
    let error = load(&many, &[], &[]).unwrap_err();
    assert!(error.contains("`approvals.notify` are more than 16"), "{error}");
}

#[test]
fn channels_are_read_and_their_secrets_are_not_shown() {
    let toml = format!(
        "[approvals.notify.hook]\nkind = \"webhook\"\nurl = \"https://example.com/hush\"\nsecret = \"{SECRET}\"\narguments = true\n\
         [approvals.notify.chat]\nkind = \"slack\"\nurl = {{ env = \"CHAT\" }}\napprover = \"root\"\nnetworks = [\"10.0.0.0/8\"]\n\
         [approvals.notify.mail]\nkind = \"mail\"\nurl = \"smtps://mail.example.com\"\nfrom = \"Toolgate <toolgate@example.com>\"\n\
         to = \"a@example.com, b@example.com\"\nusername = \"u\"\npassword = \"hush\"\n\
         [approvals.notify.near]\nkind = \"mail\"\nurl = \"smtp://127.0.0.1\"\nfrom = \"t@example.com\"\nto = [\"a@example.com\"]\n"
    );
    let config = accepted(&toml, &[("CHAT", "https://hooks.example.com/hush")], &[]);
    let urls: Vec<_> = config.approvals.notify.iter().map(|to| format!("{} {}", to.id, to.url)).collect();
    assert_eq!(
        urls,
        [
            "chat https://hooks.example.com/hush",
            "hook https://example.com/hush",
            "mail https://mail.example.com:465/",
            "near http://127.0.0.1:25/"
        ]
    );
    let shown = format!("{config:?} {}", config.print());
    assert!(!shown.contains("hooks.example") && !shown.contains("hush") && !shown.contains(SECRET), "{shown}");
}
