//! Configurations as tables: what is written, and what it means or how it is refused.

use std::path::Path;

use tempfile::TempDir;

use super::{Config, ConfigFile, Layers};

const GITHUB: &str = "[servers.github]\nurl = \"https://mcp.example.com/mcp\"\npolicy = \"policy.json\"\n";

fn folder(toml: &str) -> (TempDir, ConfigFile) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toolgate.toml");
    std::fs::write(&file, toml).unwrap();
    (folder, ConfigFile::Required(file))
}

/// The one place that loads; every test file is called `toolgate.toml` in a folder called `DIR`.
pub(super) fn load(toml: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
    let (folder, file) = folder(toml);
    let env = env.iter().map(|&(name, value)| (name.into(), value.into()));
    let flags = flags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let layers = Layers { file, env: env.collect(), flags: flags.collect() };
    Config::load(&layers).map_err(|e| e.to_string().replace(folder.path().to_str().unwrap(), "DIR"))
}

#[track_caller]
pub(super) fn accepted(toml: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
    load(toml, env, flags).unwrap_or_else(|e| panic!("refused: {e}"))
}

#[track_caller]
pub(super) fn refused(toml: &str, env: &[(&str, &str)], expected: &str) {
    match load(toml, env, &[]) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(e) => assert_eq!(e, expected),
    }
}

#[track_caller]
fn authorization(config: &Config) -> &str {
    let server = config.servers.values().next().unwrap();
    let (name, value) = server.headers.iter().next().unwrap();
    assert_eq!(name, "authorization");
    assert!(value.is_sensitive());
    value.to_str().unwrap()
}

#[test]
fn nothing_configured_is_the_defaults() {
    let config = Config::load(&Layers::default()).unwrap();
    assert!(config.servers.is_empty());
    assert_eq!(config.listen.data.to_string(), "127.0.0.1:4480");
    assert_eq!(config.bounds.body, 4 << 20);
    assert_eq!(config.bounds.drain.as_secs(), 30);
    assert_eq!(config.limits.keys.get(), 1_000_000);
    assert_eq!(config.listen.workers, None);
}

#[test]
fn a_later_layer_wins() {
    let toml = "[bounds]\nbody = 1024\nevent = \"2MiB\"\ndrain = \"1m\"\nheaders = 7";
    let env =
        [("TOOLGATE__BOUNDS__BODY", "3MiB"), ("TOOLGATE__BOUNDS__HEADERS", "1_000"), ("TOOLGATE_TOKEN", "no setting")];
    let config = accepted(toml, &env, &[("bounds.body", "5KiB"), ("bounds.body", "6KiB")]);
    assert_eq!(config.bounds.body, 6 << 10);
    assert_eq!(config.bounds.headers.get(), 1_000);
    assert_eq!(config.bounds.event, 2 << 20);
    assert_eq!(config.bounds.drain.as_secs(), 60);
}

#[test]
fn lists() {
    let toml = "[listen]\nhosts = [\"gateway.internal:4480\", \"gateway\"]\norigins = [\"https://App.example.com\"]";
    let config = accepted(toml, &[], &[]);
    assert_eq!(config.listen.hosts.len(), 2);
    assert_eq!(config.listen.origins.first().unwrap().as_str(), "https://app.example.com");
    let config = accepted(toml, &[("TOOLGATE__LISTEN__HOSTS", "a, b:1,")], &[]);
    assert_eq!(config.listen.hosts, ["a", "b:1"]);
}

#[test]
fn a_relative_path_belongs_to_the_file_that_names_it() {
    let (folder, file) = folder(GITHUB);
    let mut layers = Layers { file, ..Layers::default() };
    let policy = |layers: &Layers| Config::load(layers).unwrap().servers.into_values().next().unwrap().policy;
    assert_eq!(policy(&layers), super::PolicySource::File(folder.path().join("policy.json")));
    layers.flags.push(("servers.github.policy".to_owned(), "other.json".to_owned()));
    assert_eq!(policy(&layers), super::PolicySource::File(std::path::absolute(Path::new("other.json")).unwrap()));
}

#[test]
fn a_server_from_the_environment() {
    let env = [
        ("TOOLGATE__SERVERS__MY_FILES__URL", "http://127.0.0.1:9/mcp"),
        ("TOOLGATE__SERVERS__MY_FILES__POLICY", "p.json"),
    ];
    let config = accepted("", &env, &[]);
    assert_eq!(config.servers.keys().next().unwrap().as_str(), "my_files");
}

#[test]
fn secrets_come_from_values_files_and_variables() {
    let (secrets, _) = folder("");
    let file = secrets.path().join("token");
    std::fs::write(&file, "Bearer from-file\n").unwrap();
    let file = file.to_str().unwrap();
    let with = |header: &str| format!("{GITHUB}headers = {{ Authorization = {header} }}");

    let plain = with("\"Bearer plain\"");
    assert_eq!(authorization(&accepted(&plain, &[], &[])), "Bearer plain");
    assert_eq!(authorization(&accepted(&with(&format!("{{ file = {file:?} }}")), &[], &[])), "Bearer from-file");
    let env = [("GH", "Bearer from-env")];
    assert_eq!(authorization(&accepted(&with("{ env = \"GH\" }"), &env, &[])), "Bearer from-env");

    // A later layer wins, whatever its form and the case of the name.
    let env = [("TOOLGATE__SERVERS__GITHUB__HEADERS__AUTHORIZATION", "Bearer over")];
    assert_eq!(authorization(&accepted(&with("{ env = \"GH\" }"), &env, &[])), "Bearer over");
    let env = [("TOOLGATE__SERVERS__GITHUB__HEADERS__AUTHORIZATION_FILE", file)];
    assert_eq!(authorization(&accepted(&plain, &env, &[])), "Bearer from-file");
    assert_eq!(authorization(&accepted(&with("{ env = \"GH\" }"), &env, &[])), "Bearer from-file");

    let env = [("TOOLGATE__SERVERS__GITHUB__HEADERS__X_API_KEY", "k")];
    let config = accepted(GITHUB, &env, &[]);
    let server = config.servers.values().next().unwrap();
    assert_eq!(server.headers.iter().next().unwrap().0, "x-api-key");
}

#[test]
fn secrets_are_never_shown() {
    let toml = "[servers.s]\nurl = \"http://h/mcp?key=CANARY\"\npolicy = \"p\"\nheaders = { A = \"CANARY\", B = { env = \"E\" }, C = { file = \"toolgate.toml\" } }";
    let env = [
        ("E", "CANARY"),
        ("TOOLGATE__SERVERS__S__HEADERS__D", "CANARY"),
        ("TOOLGATE__SERVERS__S__HEADERS__C", "CANARY"),
    ];
    let config = accepted(toml, &env, &[]);
    for shown in [config.print().to_owned(), format!("{config:?}")] {
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    // Each is refused for another reason, near the secret.
    for toml in [
        "[servers.s]\nheaders = { A = \"CANARY",
        "[servers.s]\nheaders = { A = \"CANARY\", A = \"CANARY\" }",
        "[servers.s]\nheaders = { A = \"CANARY\\n\" }",
        "[servers.s]\nheaders = { A = [\"CANARY\"] }",
        "[servers.s]\nheaders = { A = { token = \"CANARY\" } }",
        "[servers.s]\nheaders = { host = \"CANARY\" }",
        "[servers.s]\nheaders = \"CANARY\"",
        "[servers.s]\ntoken = \"CANARY\"",
        "[servers.s]\nurl = \"http://u:CANARY@h/\"",
        "[servers.s]\nurl = \"ftp://h/?CANARY\"",
        "[limits]\nstore = \"redis://:CANARY@h/x\"",
        "[limits]\nstore = \"rediss://:CANARY@h#insecure\"",
        "[limits]\nstore = \"rdis://:CANARY@h\"",
        "[store]\nurl = \"postgre://u:CANARY@h\"",
    ] {
        let error = load(toml, &[], &[]).unwrap_err();
        assert!(!error.contains("CANARY"), "{error}");
    }
}

#[test]
fn print_names_where_each_value_came_from() {
    let config =
        accepted("log = { level = \"warn\" }", &[("TOOLGATE__BOUNDS__BODY", "1MiB")], &[("log.format", "json")]);
    let line = |key: &str| {
        let line = config.print().lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("bounds.body "), "bounds.body = \"1MiB\" # env TOOLGATE__BOUNDS__BODY");
    assert_eq!(line("bounds.drain"), "bounds.drain = \"30s\" # default");
    assert_eq!(line("log.format"), "log.format = \"json\" # flag log.format");
    assert!(line("log.level").ends_with("toolgate.toml"));
}

#[test]
fn unknown_settings() {
    refused(
        "[bounds]\nbodi = 1",
        &[],
        "there is no setting `bounds.bodi` (file DIR/toolgate.toml), did you mean `bounds.body`?",
    );
    refused(
        "[lisen]\ndata = \"x\"",
        &[],
        "there is no setting `lisen.data` (file DIR/toolgate.toml), did you mean `listen.data`?",
    );
    refused(
        "",
        &[("TOOLGATE__BOUNDS__BODI", "1")],
        "there is no setting `bounds.bodi` (env TOOLGATE__BOUNDS__BODI), did you mean `TOOLGATE__BOUNDS__BODY`?",
    );
    refused("colour = true", &[], "there is no setting `colour` (file DIR/toolgate.toml)");
    refused("\"a[99999999999].b\" = 1", &[], "there is no setting `a[99999999999].b` (file DIR/toolgate.toml)");
    refused(
        &format!("{GITHUB}polcy = \"x\""),
        &[],
        "there is no setting `servers.github.polcy` (file DIR/toolgate.toml), did you mean `servers.github.policy`?",
    );
}

#[test]
fn tokens_are_fetched_as_the_operator_wrote() {
    let oauth = "[servers.github.oauth]\ntoken_url = \"https://idp.example/token\"\nclient_id = \"toolgate\"\n";
    let with = |more: &str| format!("{GITHUB}\n{oauth}{more}");
    let config = accepted(&with("client_secret = { env = \"S\" }\nscope = \"read write\""), &[("S", "CANARY")], &[]);
    let found = config.servers.values().next().unwrap().credentials.oauth.clone().unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&found.client_secret), "CANARY");
    assert_eq!((found.scope.as_deref(), found.secret_in), (Some("read write"), crate::config::ClientSecretIn::Header));
    let agent = "[servers.github.agents.\"ci@example\"]\nheaders = { X-Key = \"CANARY\" }";
    let config = accepted(&with(&format!("client_secret = \"CANARY\"\n{agent}")), &[], &[]);
    assert!(config.servers.values().next().unwrap().credentials.agents.contains_key("ci@example"));
    for shown in [config.print().to_owned(), format!("{config:?}")] {
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    let at = "servers.github.oauth";
    for (toml, reason) in [
        (
            format!("{GITHUB}oauth = 5"),
            format!("`{at}` is 5, expected a table with `token_url`, `client_id` and `client_secret`"),
        ),
        (with(""), format!("`{at}.client_secret` is missing: a string, `{{ file = \"…\" }}` or `{{ env = \"…\" }}`")),
        (with("client_secret = \"\""), format!("`{at}.client_secret` is empty")),
        (
            with("client_secret = { env = \"NONE\" }"),
            format!("`{at}.client_secret` needs the variable `NONE`, which is not set"),
        ),
        (
            with("client_secret = { token = \"x\" }"),
            format!("`{at}.client_secret` must be one string, one `{{ file = \"…\" }}` or one `{{ env = \"…\" }}`"),
        ),
        (
            with("client_secret = \"x\"\nsecret_in = \"query\""),
            format!("`{at}.secret_in` must be \"header\" or \"body\""),
        ),
        (
            with("client_secret = \"x\"").replace("https://idp", "http://idp"),
            format!("`{at}.token_url` must be https: a secret is sent there"),
        ),
        (
            with("client_secret = \"x\"\n[servers.github.headers]\nauthorization = \"Bearer x\""),
            format!("`{at}` cannot be beside `headers.Authorization`: there is one way to authorize"),
        ),
        (
            format!("{GITHUB}\n[servers.github.agents.ci]"),
            "`servers.github.agents.ci` says nothing: it needs `headers` or `oauth`".into(),
        ),
        (
            format!(
                "[servers.p]\ncommand = [\"p\"]\npolicy = \"p\"\n{}client_secret = \"x\"",
                oauth.replace("github", "p")
            ),
            "`servers.p` is no server that is reached by `url`, which `oauth` and `agents` are for".into(),
        ),
    ] {
        let error = load(&toml, &[], &[]).unwrap_err();
        assert!(error.contains(&reason), "{toml}\n{error}");
    }
}

#[test]
fn bad_values_name_what_was_found_and_what_is_expected() {
    refused(
        "[bounds]\nbody = \"4 MB\"\ndrain = 30\nheaders = 0",
        &[("TOOLGATE__LISTEN__DATA", "localhost:1")],
        "`listen.data` is \"localhost:1\", expected an address and a port such as \"127.0.0.1:4480\" (env TOOLGATE__LISTEN__DATA)\n\
         `bounds.body` is \"4 MB\", expected a size such as 65536 or \"64KiB\", from 1KiB to 1GiB (file DIR/toolgate.toml)\n\
         `bounds.headers` is 0, expected a number from 1 to 1000 (file DIR/toolgate.toml)\n\
         `bounds.drain` is 30, expected a duration such as \"500ms\", \"30s\" or \"5m\", from 0s to 1h (file DIR/toolgate.toml)",
    );
    refused("listen = 5", &[], "`listen` is 5, expected a table (file DIR/toolgate.toml)");
    refused(
        "[bounds.body]\nmax = 1",
        &[],
        "`bounds.body` is a table, expected a size such as 65536 or \"64KiB\", from 1KiB to 1GiB (file DIR/toolgate.toml)",
    );
    refused(
        "[log]\nlevel = \"loud\"",
        &[],
        "`log.level` is \"loud\", expected \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\" (file DIR/toolgate.toml)",
    );
    refused(
        "[listen]\norigins = [\"null\"]",
        &[],
        "`listen.origins` is [\"null\"], expected a list such as [\"https://app.example.com\"] (file DIR/toolgate.toml)",
    );
    refused(
        "x = ",
        &[],
        "`DIR/toolgate.toml` is not TOML: line 1, column 5: string values must be quoted, expected literal string",
    );
}

#[test]
fn servers_are_checked() {
    let at = |id: &str, url: &str| format!("[servers.{id}]\nurl = \"{url}\"\npolicy = \"p\"");
    for id in ["a", "0", "a-b_c", &"a".repeat(64)] {
        accepted(&at(id, "http://h/mcp"), &[], &[]);
    }
    for id in ["A", "a__b", "a_", "-a", "_a", "\"\"", "\"ä\"", &"a".repeat(65)] {
        let error = load(&at(id, "http://h/mcp"), &[], &[]).unwrap_err();
        assert!(error.contains("is not a server id: it must be 1 to 64 of"), "{id}: {error}");
    }
    for (url, reason) in [
        ("http://u@h/", "must not hold user information: use `headers`"),
        ("http://h/#f", "must not have a fragment"),
        ("ftp://h/", "must be an absolute http or https URL"),
        ("/mcp", "must be an absolute http or https URL"),
        ("http://", "is not a URL"),
    ] {
        refused(&at("s", url), &[], &format!("`servers.s.url` {reason} (file DIR/toolgate.toml)"));
    }
    refused(
        "[servers.s]",
        &[],
        "`servers.s.url` is missing, expected the server's address such as \"https://mcp.example.com/mcp\" (or a `command`)\n\
         `servers.s.policy` is missing, expected the path of a policy file",
    );
}

#[test]
fn headers_are_checked() {
    let with = |headers: &str| format!("{GITHUB}headers = {headers}");
    for (headers, reason) in [
        ("{ Content-Length = \"1\" }", "Content-Length` is a header that the gateway writes itself"),
        ("{ Mcp-Name = \"1\" }", "Mcp-Name` is a header that the gateway writes itself"),
        ("{ \"a b\" = \"1\" }", "a b` is not a header name"),
        ("{ a = \"\" }", "a` is empty"),
        ("{ a = \"x\\r\\ny: z\" }", "a` holds a character that no header may have"),
        ("{ a = { env = \"NONE\" } }", "a` needs the variable `NONE`, which is not set"),
        ("{ a = { file = \"none\" } }", "a` cannot be read from `DIR/none`: No such file or directory (os error 2)"),
        ("{ a = { file = \"f\", env = \"e\" } }", "a` is written twice: give the value, or one of `file` and `env`"),
        ("{ a = \"1\", A = \"1\" }", "a` is written twice: give the value, or one of `file` and `env`"),
    ] {
        let error = load(&with(headers), &[], &[]).unwrap_err();
        assert!(error.contains(&format!("`servers.github.headers.{reason}")), "{headers}: {error}");
    }
    // Whatever lies between them in the environment.
    let name = "TOOLGATE__SERVERS__GITHUB__HEADERS__AUTHORIZATION";
    let (file, other) = (format!("{name}_FILE"), format!("{name}_B"));
    let twice = [(file.as_str(), "x"), (other.as_str(), "y"), (name, "z")];
    let error = load(GITHUB, &twice, &[]).unwrap_err();
    assert!(error.contains(&format!("is set twice, also by env {name} (env {file})")), "{error}");
}

#[test]
fn limits_may_be_counted_elsewhere() {
    let toml = "[limits]\nstore = \"rediss://me:CANARY@h:6380/2\"\ntimeout = \"50ms\"\nprefix = \"prod.1\"";
    let config = load(toml, &[], &[]).unwrap();
    let crate::config::LimitStore::Redis(address) = &config.limits.store else { panic!("{:?}", config.limits) };
    assert_eq!(address.to_string(), "rediss://***@h:6380/2");
    assert_eq!(
        (config.limits.timeout, config.limits.prefix.as_str()),
        (std::time::Duration::from_millis(50), "prod.1")
    );
    assert!(!format!("{config:?}").contains("CANARY") && !config.print().contains("CANARY"), "{}", config.print());
    for (line, says) in [("timeout = \"0s\"", "limits.timeout"), ("prefix = \"a{b\"", "limits.prefix")] {
        let error = load(&format!("[limits]\n{line}"), &[], &[]).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn sessions_may_be_kept_elsewhere() {
    assert!(load("", &[], &[]).unwrap().sessions.store.is_none());
    let toml = "[sessions]\nstore = \"redis://:CANARY@h\"\ntimeout = \"50ms\"\nprefix = \"prod.1\"";
    let config = load(toml, &[], &[]).unwrap();
    let sessions = &config.sessions;
    assert_eq!(sessions.store.as_ref().unwrap().to_string(), "redis://***@h");
    assert_eq!((sessions.timeout, sessions.prefix.as_str()), (std::time::Duration::from_millis(50), "prod.1"));
    assert!(!format!("{config:?}").contains("CANARY") && !config.print().contains("CANARY"), "{}", config.print());
    for (line, says) in [("timeout = \"0s\"", "sessions.timeout"), ("store = \"rdis://h\"", "sessions.store")] {
        let error = load(&format!("[sessions]\n{line}"), &[], &[]).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_store_is_a_file_beside_the_configuration_a_database_or_none() {
    let url = |toml: &str| {
        let config = load(toml, &[], &[]).unwrap();
        config.store.url.map(|url| url.as_str().to_owned())
    };
    assert!(url("").unwrap().ends_with("/data/toolgate.db"));
    assert!(url("store.url = \"sqlite:x.db\"").unwrap().ends_with("/x.db"));
    assert_eq!(url("store.url = \"sqlite:/a/x.db\"").as_deref(), Some("sqlite:/a/x.db"));
    assert_eq!(url("store.url = \"postgres://u:p@h/d\"").as_deref(), Some("postgres://u:p@h/d"));
    assert_eq!(url("store.url = \"\""), None);
    for wrong in ["x", "sqlite:", "mysql://h", "sqlite"] {
        let error = load(&format!("store.url = \"{wrong}\""), &[], &[]).unwrap_err();
        assert!(error.contains("`store.url` is"), "{error}");
    }
    let config = load("store.url = \"postgres://u:CANARY@h/d?password=CANARY\"", &[], &[]).unwrap();
    assert!(!config.print().contains("CANARY") && !format!("{config:?}").contains("CANARY"));
}

#[test]
fn what_is_known_but_not_there_yet_says_so() {
    let expected = "`servers.github.catalog` is not carried out yet by this version (file DIR/toolgate.toml)";
    refused(&format!("{GITHUB}catalog = \"x\""), &[], expected);
}

const PROGRAM: &str = "[servers.s]\npolicy = \"p.json\"\n";

#[test]
fn a_server_may_be_a_program() {
    let toml = format!(
        "{PROGRAM}command = [\"npx\", \"-y\", \"x, y\"]\ncwd = \"work\"\nshared = true\nprocesses = 3\nidle = \"5s\"\n\
         inherit = [\"GOPATH\"]\nenv = {{ TOKEN = {{ env = \"SECRET\" }}, PATH = \"/opt\" }}"
    );
    let env = [("PATH", "/bin"), ("HOME", "/h"), ("GOPATH", "/go"), ("SECRET", "CANARY"), ("OTHER", "o")];
    let config = accepted(&toml, &env, &[]);
    let super::Target::Command(command) = &config.servers.values().next().unwrap().target else { panic!("no program") };
    assert_eq!(
        (command.program.as_str(), command.arguments.as_slice()),
        ("npx", &["-y".to_owned(), "x, y".to_owned()][..])
    );
    assert!(command.folder.as_ref().unwrap().ends_with("work") && command.folder.as_ref().unwrap().is_absolute());
    assert_eq!((command.shared, command.processes.get(), command.idle.as_secs()), (true, 3, 5));
    let seen: Vec<_> =
        command.environment.iter().map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap())).collect();
    assert_eq!(seen, [("GOPATH", "/go"), ("HOME", "/h"), ("PATH", "/opt"), ("TOKEN", "CANARY")]);
    assert!(!format!("{config:?}{}", config.print()).contains("CANARY"));

    let env = [
        ("TOOLGATE__SERVERS__S__COMMAND", "./tool, --stdio"),
        ("TOOLGATE__SERVERS__S__SHARED", "true"),
        ("TOOLGATE__SERVERS__S__ENV__TOKEN", "CANARY"),
    ];
    let config = accepted(PROGRAM, &env, &[]);
    let super::Target::Command(command) = &config.servers.values().next().unwrap().target else { panic!("no program") };
    assert!(Path::new(&command.program).is_absolute() && command.program.ends_with("/tool"), "{}", command.program);
    assert_eq!(command.arguments, ["--stdio"]);
    assert_eq!(command.environment.iter().next().unwrap().0, "TOKEN");
    assert!(command.shared && !config.print().contains("CANARY"));
}

#[test]
fn a_program_is_checked() {
    let place = "(file DIR/toolgate.toml)";
    for (lines, expected) in [
        (
            "command = []",
            "`servers.s.command` is [], expected a program and its arguments such as [\"npx\", \"-y\", \"some-server\"]",
        ),
        (
            "command = [\"x\", 7]",
            "`servers.s.command` is [\"x\", 7], expected a program and its arguments such as [\"npx\", \"-y\", \"some-server\"]",
        ),
        (
            "command = [\"x\"]\nurl = \"http://h/\"",
            "`servers.s.url` cannot be beside `command`: a server is reached one way",
        ),
        (
            "command = [\"x\"]\nheaders = { A = \"b\" }",
            "`servers.s.command` is a program, which takes no `headers`: what it needs to know goes into `env`",
        ),
        ("command = [\"x\"]\nshared = 1", "`servers.s.shared` is 1, expected \"true\" or \"false\""),
        ("command = [\"x\"]\nprocesses = 0", "`servers.s.processes` is 0, expected a number from 1 to 10000"),
        (
            "command = [\"x\"]\nidle = \"0s\"",
            "`servers.s.idle` is \"0s\", expected a duration such as \"10m\", from 1s to 24h",
        ),
        (
            "command = [\"x\"]\nenv = { A = { env = \"NO\" } }",
            "`servers.s.env.A` needs the variable `NO`, which is not set",
        ),
        ("command = [\"x\"]\nenv = { A = { x = \"NO\" } }", "there is no setting `servers.s.env.A.x`"),
        ("command = [\"x\"]\nenv = \"CANARY\"", "`servers.s.env` is \"***\", expected a table"),
    ] {
        let unknown =
            expected.starts_with("there is no").then(|| format!("there is no setting `servers.s.env.A.x` {place}"));
        refused(&format!("{PROGRAM}{lines}"), &[], &unknown.unwrap_or_else(|| format!("{expected} {place}")));
    }
    let beside_url = "[servers.s]\npolicy = \"p.json\"\nurl = \"http://h/\"\nshared = true";
    refused(beside_url, &[], &format!("there is no setting `servers.s.shared` {place}"));
}

#[test]
fn a_server_of_our_own_needs_an_environment_that_describes_its_service() {
    let toml = "[servers.ft]\nbuiltin = \"azure-finetuning\"\n";
    let endpoint = ("AZURE_OPENAI_ENDPOINT", "http://127.0.0.1:1");
    let reason = "`servers.ft.builtin` cannot be used: ";
    let place = "(file DIR/toolgate.toml)";
    refused(
        toml,
        &[],
        &format!(
            "{reason}AZURE_OPENAI_ENDPOINT is not set: it is the address of the resource, such as https://my-resource.openai.azure.com {place}"
        ),
    );
    refused(
        toml,
        &[("AZURE_OPENAI_ENDPOINT", "http://example.com"), ("AZURE_OPENAI_API_KEY", "CANARY")],
        &format!("{reason}the endpoint is neither https nor on the loopback interface {place}"),
    );
    let env = [endpoint, ("AZURE_OPENAI_API_KEY", "CANARY")];
    refused(
        &format!("{toml}url = \"http://h/mcp\""),
        &env,
        &format!("`servers.ft.builtin` is in this process: it takes neither `url` nor `headers` {place}"),
    );
    refused(
        &format!("{toml}headers = {{ a = \"b\" }}"),
        &env,
        &format!("`servers.ft.builtin` is in this process: it takes neither `url` nor `headers` {place}"),
    );
    refused(
        "[servers.ft]\nbuiltin = \"azure\"",
        &env,
        &format!("`servers.ft.builtin` is \"azure\", expected \"azure-finetuning\" {place}"),
    );
    refused(
        &format!("{toml}policy = 1"),
        &env,
        &format!("`servers.ft.policy` is 1, expected the path of a policy file {place}"),
    );
}

#[test]
fn without_authentication_only_this_machine_may_connect() {
    for address in ["127.0.0.1:0", "127.9.9.9:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        accepted("", &[], &[("listen.data", address), ("listen.admin", address)]);
    }
    for address in ["0.0.0.0:4480", "[::]:4480", "192.0.2.1:4480", "[::ffff:192.0.2.1]:4480"] {
        for key in ["listen.data", "listen.admin"] {
            let error = load("", &[], &[(key, address)]).unwrap_err();
            assert!(error.starts_with(&format!("`{key}` is {address}, which other machines may reach")), "{error}");
        }
    }
    // With a certificate the API is reached by those who can say who they are.
    let pair = rcgen::generate_simple_self_signed(["gate.example".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let both = [("admin.tls.cert", &*cert), ("admin.tls.key", &*key), ("listen.admin", "0.0.0.0:4481")];
    assert!(accepted("", &[], &both).listen.admin_tls.is_some());
    let error = load("", &[], &[both[0], both[2]]).unwrap_err();
    assert!(error.contains("`admin.tls.cert` needs `key` beside it") && error.contains("other machines"), "{error}");
    refused(
        "[listen]\ndata = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:1\"",
        &[],
        "`listen.admin` is 127.0.0.1:1, the same as `listen.data` (file DIR/toolgate.toml)",
    );
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let missing = tempfile::tempdir().unwrap().path().join("toolgate.toml");
    let load = |file| Config::load(&Layers { file, ..Layers::default() });
    assert!(load(ConfigFile::IfPresent(missing.clone())).is_ok());
    let error = load(ConfigFile::Required(missing)).unwrap_err().to_string();
    assert!(error.ends_with("cannot be read: No such file or directory (os error 2)"), "{error}");
}

#[test]
fn every_setting_and_its_default_is_documented() {
    let documented = include_str!("../../../../docs/operations.md");
    let defaults = include_str!("defaults.toml");
    let mut section = "";
    for line in defaults.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, value)) = line.split_once(" = ") {
            let row = format!("| `{section}.{key}` | `{value}` |");
            assert!(documented.contains(&row), "docs/operations.md lacks {row}");
        }
    }
}
