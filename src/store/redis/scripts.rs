//! What Redis must do in one step, in Lua.
//!
//! I own: the scripts; each touches one key, so that they run on any kind of Redis. I never read Redis's clock.

use redis::Script;

/// All scripts; Redis is sent their digests, and their text when it does not know one.
pub(super) struct Scripts {
    /// Index entry: session key, when it ends, now, milliseconds to keep. Neither the entry nor the index ever lives
    /// shorter than before: the record that this is written for may turn out to stay as it was.
    pub(super) enter: Script,
    /// New record: version, private, operator, index names, milliseconds to keep. 1, or 0 when there is one.
    pub(super) insert: Script,
    /// Next version of a record: expected version, version, private, operator, index names, milliseconds to keep.
    /// 1, or 0 for another version, or -1 when there is none (R88).
    pub(super) replace: Script,
    /// Notes a moment: the moment, milliseconds to keep. The later one and the longer life win.
    pub(super) mark: Script,
    /// Takes a name once: mark, milliseconds to keep. 1 for whoever's mark it is.
    pub(super) take: Script,
    /// Takes a lease, or renews it for its holder: holder, milliseconds to keep. 0 while somebody else holds it.
    pub(super) lease: Script,
    /// Gives a lease back: holder. Nothing happens to somebody else's.
    pub(super) release: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            enter: Script::new(ENTER),
            insert: Script::new(INSERT),
            replace: Script::new(REPLACE),
            mark: Script::new(MARK),
            take: Script::new(TAKE),
            lease: Script::new(LEASE),
            release: Script::new(RELEASE),
        }
    }
}

// ZADD's own GT would be Redis 6.2, PEXPIRE's Redis 7, and does nothing for a key that has no expiry yet.
const ENTER: &str = r"
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not before or tonumber(before) < tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
";

const INSERT: &str = r"
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'p', ARGV[2], 'o', ARGV[3], 'i', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
";

// Index names are 32 bytes each, one after the other; those of before are kept, and new ones added.
const REPLACE: &str = r"
local old = redis.call('HMGET', KEYS[1], 'v', 'i')
if not old[1] then return -1 end
if old[1] ~= ARGV[1] then return 0 end
local names = old[2] or ''
for at = 1, #ARGV[5], 32 do
  local name = string.sub(ARGV[5], at, at + 31)
  local known = false
  for before = 1, #names, 32 do
    if string.sub(names, before, before + 31) == name then known = true end
  end
  if not known then names = names .. name end
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'p', ARGV[3], 'o', ARGV[4], 'i', names)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
";

const MARK: &str = r"
local at, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
local before = redis.call('GET', KEYS[1])
if before then
  at = math.max(at, tonumber(before))
  keep = math.max(keep, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', string.format('%.0f', keep))
return 1
";

const TAKE: &str = r"
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0
";

const LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
";
