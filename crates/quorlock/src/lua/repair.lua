-- Sets again what a node has lost of a lease. Sent only after a quorum was proven to hold the lease in the same
-- round; its answer never counts towards a quorum.
--
-- KEYS     the lock keys; of a fenced lease, then their fence counters
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
-- ARGV[3]  of a fenced lease: its fencing token
-- ARGV[4]  and how many milliseconds its counters are kept
--
-- Replies 1 (granted: every key holds the token, and lives for at least the TTL)
--      or 0 (denied: at least one key holds something else; nothing was changed).

local locks = ARGV[3] and #KEYS / 2 or #KEYS
local missing = {}
for i = 1, locks do
  local value = value_of(KEYS[i])
  if value == false then
    missing[i] = true
  elseif value ~= ARGV[1] then
    return 0
  end
end

local ttl = tonumber(ARGV[2])
for i = 1, locks do
  if missing[i] then
    redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
  elseif redis.call('PTTL', KEYS[i]) < ttl then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
lift(locks, ARGV[3], ARGV[4])
return 1
