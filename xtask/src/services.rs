//! `cargo xtask services [COMMAND…]`: a PostgreSQL and a Redis of our own, on loopback, in folders that go with them. The command (or
//! whoever reads what is printed) finds them in its environment; tests that need them say that they are skipped where it is silent.

mod account;
mod ending;
mod instance;
mod postgres;
mod redis;

pub(crate) use self::postgres::Postgres;
pub(crate) use self::redis::Redis;
use crate::shell;

/// Where tests look for their services.
const POSTGRES_URL: &str = "TOOLGATE_TEST_POSTGRES_URL";
const REDIS_URL: &str = "TOOLGATE_TEST_REDIS_URL";

/// Both, running; they end with us.
pub(crate) struct Services {
    postgres: Postgres,
    redis: Redis,
}

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let services = Services::start()?;
    let variables = services.variables();
    if let Some((name, rest)) = arguments.split_first() {
        return shell::run(shell::program(name).args(rest).envs(variables));
    }
    for (name, url) in &variables {
        println!("export {name}={url}");
    }
    eprintln!("running until a signal ends them");
    ending::wait()
}

impl Services {
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self { postgres: Postgres::start()?, redis: Redis::start()? })
    }

    /// For the environment of tests.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(POSTGRES_URL, self.postgres.url()), (REDIS_URL, self.redis.url())]
    }
}
