-- Prolongs every key, or none: a lease is extended where it is whole.
--
-- KEYS     the lock keys
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
--
-- Replies { 1, smallest PTTL found } (kept: every key holds the token, and lives for at least the TTL now),
--         { 0, -2 } (missing: at least one key is gone, none is another's; nothing was changed)
--      or { -1, -2 } (another's: at least one key holds something else; nothing was changed).

local missing = false
for _, key in ipairs(KEYS) do
  -- pcall: a key of another type belongs to somebody else, it is no reason to fail.
  local value = redis.pcall('GET', key)
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
