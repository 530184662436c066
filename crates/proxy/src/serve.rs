//! `toolgate serve`: start, say so, wait for a signal, drain.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use console::{Console, Options};
use gateway::config::{Config, ConfigFile, Layers};
use gateway::{AdminService, Gateway};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{cli, default, exit, logging, tour};

pub(crate) fn run(args: &cli::Serve) -> anyhow::Result<ExitCode> {
    let layers = layers(args);
    let config = match Config::load(&layers) {
        Ok(config) => config,
        Err(errors) => {
            for problem in errors.problems() {
                eprintln!("error: {problem}");
            }
            return Ok(exit::USAGE.into());
        }
    };
    if args.print_config {
        io::stdout().write_all(config.print().as_bytes()).context("cannot write to stdout")?;
        return Ok(exit::OK.into());
    }
    let dial = logging::start(config.log);

    // The signals first: one that comes while we start must drain us, not kill us.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen().context("cannot listen to signals")?
    };
    let (config, shown) = match config.servers.is_empty() {
        true => match default::server(config, layers.env, &runtime)? {
            Ok((config, shown)) => (config, Some(shown)),
            Err(problem) => {
                eprintln!("error: {problem}");
                return Ok(exit::USAGE.into());
            }
        },
        false => (config, None),
    };
    let (mut console, secure) = (Ok(None), config.listen.admin_tls.is_some());
    let running = Gateway::start_with(config, |control| {
        let options = Options { secure, ..Options::default() };
        console = Console::new(control, options).map(|console| console.map(Arc::new));
        console.as_ref().ok()?.clone().map(|console| console as Arc<dyn AdminService>)
    });
    let running = running.context("cannot start")?;
    if let Some(live) = running.control().live() {
        runtime.spawn(dial.follow(live));
    }
    let login = match console.context("cannot start")? {
        Some(console) => runtime.block_on(console.first_login()).context("cannot let the first admin in")?,
        None => None,
    };
    let admin = format!("{}://{}", if secure { "https" } else { "http" }, running.admin());
    announce(&running, &admin, login.as_deref(), shown.as_ref()).context("cannot write to stdout")?;

    runtime.block_on(async {
        signals.next().await;
        let drained = tokio::task::spawn_blocking(move || running.shutdown());
        tokio::select! {
            _ = drained => {}
            () = signals.next() => tracing::warn!("second signal: not waiting for open calls"),
        }
    });
    // A drain that was cut short still runs on its thread, and nobody waits for it.
    runtime.shutdown_background();
    Ok(exit::OK.into())
}

fn layers(args: &cli::Serve) -> Layers {
    let file = match &args.config {
        Some(path) => ConfigFile::Required(path.clone()),
        None => ConfigFile::IfPresent("toolgate.toml".into()),
    };
    let mut flags = args.set.clone();
    let shorts = [("log.format", &args.log_format), ("log.level", &args.log_level)];
    flags.extend(shorts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
    Layers { file, env: std::env::vars_os().collect(), flags }
}

/// A login link is said here and nowhere else: whoever reads the log must not get in by it.
fn announce(
    running: &gateway::Running,
    admin: &str,
    login: Option<&str>,
    shown: Option<&default::Shown>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "toolgate ready data=http://{} admin={admin}", running.data())?;
    if let Some(path) = login {
        writeln!(out, "toolgate login {admin}{path} (the first admin, once, within 15 minutes)")?;
    }
    if let Some(shown) = shown {
        write!(out, "{}", tour::text(running.data(), shown))?;
    }
    out.flush()
}

pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
