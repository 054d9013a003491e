-- Prolongs every key, or none: a lease is extended where it is whole.
--
-- KEYS     the lock keys
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
--
-- Replies { 1, smallest PTTL found } (kept: every key holds the token, and lives for at least the TTL now),
--         { 0, -2 } (missing: at least one key is gone, none is another's; nothing was changed)
--      or { -1, -2 } (another's: at least one key holds something else; nothing was changed).

-- What a key holds: its value, false if it is gone, or a table if it is of another type and so somebody else's. Other
-- errors (no right, for one) say nothing about the key: they end the script.
local function value_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' and value.err and not string.find(value.err, 'WRONGTYPE', 1, true) then
    error(value.err, 0)
  end
  return value
end

local missing = false
for _, key in ipairs(KEYS) do
  local value = value_of(key)
  if value == false then
    missing = true
  elseif value ~= ARGV[1] then
    return { -1, -2 }
  end
end
if missing then
  return { 0, -2 }
end

local ttl = tonumber(ARGV[2])
local found
for _, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  if not found or left < found then
    found = left
  end
  -- Only ever longer: a late or shorter extend must not take back what an earlier one promised.
  if left < ttl then
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return { 1, found }
