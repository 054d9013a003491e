-- Sets again what a node has lost of a lease. Sent only after a quorum was proven to hold the lease in the same
-- round; its answer never counts towards a quorum.
--
-- KEYS     the lock keys
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
--
-- Replies 1 (granted: every key holds the token, and lives for at least the TTL)
--      or 0 (denied: at least one key holds something else; nothing was changed).

-- What a key holds: its value, false if it is gone, or a table if it is of another type and so somebody else's. Other
-- errors (no right, for one) say nothing about the key: they end the script.
local function value_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' and value.err and not string.find(value.err, 'WRONGTYPE', 1, true) then
    error(value.err, 0)
  end
  return value
end

local missing = {}
for i, key in ipairs(KEYS) do
  local value = value_of(key)
  if value == false then
    missing[i] = true
  elseif value ~= ARGV[1] then
    return 0
  end
end

local ttl = tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  if missing[i] then
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
  elseif redis.call('PTTL', key) < ttl then
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return 1
