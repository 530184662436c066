//! The script, run on a connection.

use super::{
    Remote,
    call::{Call, Head, Mode},
    pending,
    reply::{self, Epoch, Reply},
};
use redis::{RedisError, ServerErrorKind, aio::MultiplexedConnection};
use smallvec::SmallVec;

impl Remote {
    /// One run of the script: of its hash, or of its text where the server does not have it.
    pub(super) async fn run(
        &self,
        connection: MultiplexedConnection,
        call: &Call,
        mode: Mode,
        deadline: u64,
    ) -> Result<Reply, RedisError> {
        self.say(connection, call, (mode, deadline), Epoch::default(), &SmallVec::new()).await
    }

    /// The same of a call that was counted before.
    pub(super) async fn say(
        &self,
        mut connection: MultiplexedConnection,
        call: &Call,
        (mode, deadline): (Mode, u64),
        seen: Epoch,
        nows: &SmallVec<[u64; 2]>,
    ) -> Result<Reply, RedisError> {
        let known = *pending::lock(&self.known);
        let head = Head {
            mode,
            known: (known.id, known.sequence),
            new_id: self.new_id(),
            settle: self.settings.settle,
            deadline,
            seen: (seen.id, seen.lost),
        };
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script);
            call.write(&mut command, &self.settings.prefix, &head, nows);
            command
        };
        let by_hash: Result<Vec<i64>, _> = command("EVALSHA", &self.hash).query_async(&mut connection).await;
        let numbers = match by_hash {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                command("EVAL", &self.script).query_async(&mut connection).await?
            }
            other => other?,
        };
        let (epoch, reply) = reply::read(&numbers)
            .ok_or_else(|| RedisError::from((redis::ErrorKind::UnexpectedReturnType, "no answer of the script")))?;
        self.learn(epoch);
        Ok(reply)
    }

    /// Nobody else's: 52 bits that no other process has, in all likelihood.
    fn new_id(&self) -> u64 {
        use std::hash::{BuildHasher as _, RandomState};
        (RandomState::new().hash_one(std::process::id()) >> 12).max(1)
    }

    fn learn(&self, epoch: Epoch) {
        let mut known = pending::lock(&self.known);
        if known.id == epoch.id {
            known.sequence = known.sequence.max(epoch.sequence);
        } else {
            (known.id, known.sequence) = (epoch.id, epoch.sequence);
        }
    }
}
