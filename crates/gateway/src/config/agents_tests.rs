//! The agents section as tables: what is written, and what it means or how it is refused.

use super::tests::{accepted, load, refused};

const SERVERS: &str =
    "[auth]\nmode = \"tokens\"\n[servers.github]\nurl = \"https://mcp.example.com/mcp\"\npolicy = \"p.json\"\n";
const HASH: &str = "0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789ABCDEF";
const TOKEN: &str = "tg_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn agent(lines: &str) -> String {
    format!("{SERVERS}[agents.ci]\n{lines}\n")
}

#[test]
fn agents_are_read() {
    let config = accepted(
        &format!(
            "{SERVERS}[agents.ci]\nlabels = {{ team = \"ops\", tier = \"1\" }}\nservers = [\"github\"]\n\
             policies = {{ github = \"strict.json\" }}\n\
             tokens = [{{ sha256 = \"{HASH}\", label = \"laptop\", expires = \"2027-01-01T00:00:00Z\" }}]\n\
             [agents.\"a@x.example\"]\n"
        ),
        &[],
        &[],
    );
    let names: Vec<&str> = config.agents.keys().map(super::AgentId::as_str).collect();
    assert_eq!(names, ["a@x.example", "ci"]);
    let (all, ci) = (config.agents.values().next().unwrap(), config.agents.values().next_back().unwrap());
    assert!(all.servers.is_none() && all.tokens.is_empty() && all.labels.is_empty());
    assert_eq!(ci.labels["team"], "ops");
    assert_eq!(ci.servers.as_ref().unwrap().first().unwrap().as_str(), "github");
    assert!(format!("{:?}", ci.policies).contains("/strict.json"));
    let token = &ci.tokens[0];
    assert_eq!((token.sha256[..4].to_vec(), token.sha256[31]), (vec![0x01, 0x23, 0x45, 0x67], 0xef));
    assert_eq!(humantime::format_rfc3339(token.expires.unwrap()).to_string(), "2027-01-01T00:00:00Z");
    let printed = config.print();
    assert!(printed.contains("label = \"laptop\"") && printed.contains("sha256 = \"***\""), "{printed}");
}

#[test]
fn no_servers_is_not_all_servers() {
    let config = accepted(&agent("servers = []"), &[], &[]);
    assert_eq!(config.agents.values().next().unwrap().servers.as_ref().unwrap().len(), 0);
}

#[test]
fn what_is_wrong_is_said_and_a_token_never() {
    const FILE: &str = "(file DIR/toolgate.toml)";
    let tokens = |inside: &str| agent(&format!("tokens = [{inside}]"));
    let needs = "needs the `sha256` of a token, 64 hexadecimal digits, and never the token: `toolgate agents new-token` prints both";
    let list = "a list such as [{ sha256 = \"…\", label = \"laptop\", expires = \"2027-01-01T00:00:00Z\" }]";
    for (toml, expected) in [
        (agent("servers = [\"gitlab\"]"), "`agents.ci.servers` names `gitlab`, and there is no such server".to_owned()),
        (agent("servers = 7"), "`agents.ci.servers` is 7, expected a list of server ids such as [\"github\"]".to_owned()),
        (agent("policies = { gitlab = \"x\" }"), "`agents.ci.policies.gitlab` names `gitlab`, and there is no such server".to_owned()),
        (agent("policies = { github = 7 }"), "`agents.ci.policies.github` is 7, expected the path of a policy file".to_owned()),
        (agent("labels = { Team = \"x\" }"), "`agents.ci.labels.Team` is not a label's name: that is 1 to 64 of `a-z`, `0-9`, `_` and `-`".to_owned()),
        (agent("labels = { team = 7 }"), "`agents.ci.labels.team` is 7, expected a text of at most 256 characters, without control characters".to_owned()),
        (agent("tokens = \"x\""), format!("`agents.ci.tokens` is \"***\", expected {list}")),
        (tokens(&format!("\"{TOKEN}\"")), format!("`agents.ci.tokens[0]` is not a table: expected {list}")),
        (tokens(&format!("{{ sha256 = \"{TOKEN}\", label = \"x\" }}")), format!("`agents.ci.tokens[0]` {needs}")),
        (tokens(&format!("{{ token = \"{TOKEN}\" }}")), "`agents.ci.tokens[0]` has a member `token`; there are `sha256`, `label` and `expires`".to_owned()),
        (tokens("{ sha256 = \"00\", label = \"x\" }"), format!("`agents.ci.tokens[0]` {needs}")),
        (tokens(&format!("{{ sha256 = \"{HASH}\" }}")), "`agents.ci.tokens[0]` needs a `label`, by which people know it".to_owned()),
        (tokens(&format!("{{ sha256 = \"{HASH}\", label = \"x\", expires = \"soon\" }}")), "`agents.ci.tokens[0]` has an `expires` that is not a time such as \"2027-01-01T00:00:00Z\"".to_owned()),
        (format!("{SERVERS}[agents.CI]\nservers = []\n"), "`agents.CI` is not an agent id: it must be 1 to 64 of `a-z`, `0-9`, `_`, `-`, `.` and `@`, and not begin with `anonymous`".to_owned()),
        (format!("{SERVERS}[agents.\"anonymous@10.0.0.1\"]\nservers = []\n"), "`agents.anonymous@10.0.0.1` is not an agent id: it must be 1 to 64 of `a-z`, `0-9`, `_`, `-`, `.` and `@`, and not begin with `anonymous`".to_owned()),
        (agent("token = []"), "there is no setting `agents.ci.token`".to_owned()),
    ] {
        let error = load(&toml, &[], &[]).err().unwrap_or_else(|| panic!("accepted: {toml}"));
        assert!(!error.contains(TOKEN), "{error}");
        assert!(error.starts_with(&expected) && error.contains(FILE), "{error}\n{expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn two_agents_never_have_one_token() {
    let one = format!("tokens = [{{ sha256 = \"{HASH}\", label = \"laptop\" }}]");
    let two = format!("tokens = [{{ sha256 = \"{}\", label = \"desktop\" }}]", HASH.to_lowercase());
    let toml = format!("{SERVERS}[agents.a]\n{one}\n[agents.b]\n{two}\n");
    refused(
        &toml,
        &[],
        "`agents.b` has the token `desktop`, which is also the token `laptop` of agent `a` (file DIR/toolgate.toml)",
    );
}

#[test]
fn agents_mean_nothing_where_everybody_comes_in() {
    let toml = agent("servers = []").replace("tokens\"", "anonymous\"");
    refused(
        &toml,
        &[],
        "`agents` has no effect while `auth.mode` is \"anonymous\", which lets in everybody: set it to \"tokens\" (file DIR/toolgate.toml)",
    );
}

#[test]
fn others_may_reach_the_data_listener_once_they_must_say_who_they_are() {
    let open = "[listen]\ndata = \"0.0.0.0:4480\"\n";
    assert!(load(open, &[], &[]).unwrap_err().contains("give agents tokens and set `auth.mode = \"tokens\"`"));
    accepted(&format!("{open}[auth]\nmode = \"tokens\"\n"), &[], &[]);
    let admin = load("[listen]\nadmin = \"0.0.0.0:4481\"\n[auth]\nmode = \"tokens\"\n", &[], &[]).unwrap_err();
    assert!(admin.starts_with("`listen.admin` is 0.0.0.0:4481, which other machines may reach"), "{admin}");
}
