//! What a server asks a client of a session that is every node's: the answer may come in at any of them, and counts once.

use redis::Pipeline;

use super::kept::Kept;
use crate::refusal::Refusal;
use crate::session::MAX_ASKS;

/// Gives a question of the server's (its id) an id of ours, or the one that it has. Nothing where the session is gone.
///
/// Questions are numbered by `n`, so that of too many the oldest is forgotten.
const ASK: &str = "
if redis.call('HEXISTS', KEYS[1], 's') == 0 then return false end
local known = redis.call('HGET', KEYS[1], 't' .. ARGV[1])
if known then return known end
if redis.call('HLEN', KEYS[1]) >= 2 * tonumber(ARGV[3]) + 2 then
  local oldest, ours, theirs
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'a' then
      local number, id = string.match(all[i + 1], '^(%d+) (.*)$')
      number = tonumber(number)
      if not oldest or number < oldest then oldest, ours, theirs = number, all[i], id end
    end
  end
  if ours then redis.call('HDEL', KEYS[1], ours, 't' .. theirs) end
end
local number = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HSET', KEYS[1], 'a' .. ARGV[2], number .. ' ' .. ARGV[1], 't' .. ARGV[1], ARGV[2])
return ARGV[2]";

/// Takes a question out by our id of it, and gives back the server's.
const TAKE: &str = "
local there = redis.call('HGET', KEYS[1], 'a' .. ARGV[1])
if not there then return false end
local theirs = string.match(there, '^%d+ (.*)$')
redis.call('HDEL', KEYS[1], 'a' .. ARGV[1], 't' .. theirs)
return theirs";

/// The other way round.
const WITHDRAW: &str = "
local ours = redis.call('HGET', KEYS[1], 't' .. ARGV[1])
if not ours then return false end
redis.call('HDEL', KEYS[1], 'a' .. ours, 't' .. ARGV[1])
return ours";

impl Kept {
    /// The id of ours under which the client sees a request of the server's. None where the session is gone.
    pub(crate) async fn ask(&self, theirs: &str, ours: u64) -> Result<Option<u64>, Refusal> {
        self.run(ASK, &[theirs, &ours.to_string(), &MAX_ASKS.to_string()]).await.map(|ours| ours?.parse().ok())
    }

    /// Takes back the server's id: of all nodes, the first that asks has it.
    pub(crate) async fn answered(&self, ours: u64) -> Result<Option<Box<str>>, Refusal> {
        self.run(TAKE, &[&ours.to_string()]).await.map(|theirs| theirs.map(Into::into))
    }

    /// The id of ours of a request that the server withdraws.
    pub(crate) async fn withdrawn(&self, theirs: &str) -> Result<Option<u64>, Refusal> {
        self.run(WITHDRAW, &[theirs]).await.map(|ours| ours?.parse().ok())
    }

    async fn run(&self, script: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
        let mut pipe = Pipeline::new();
        pipe.cmd("EVAL").arg(script).arg(1).arg(self.nodes.named(&self.key)).arg(words);
        let (said,): (Option<String>,) = self.nodes.ask(&pipe).await?;
        Ok(said)
    }
}
