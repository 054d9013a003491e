-- Prolongs every key, or none: a lease is extended where it is whole.
--
-- KEYS     the lock keys; of a fenced lease, then their fence counters
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
-- ARGV[3]  of a fenced lease: its fencing token
-- ARGV[4]  and how many milliseconds its counters are kept
--
-- Replies { 1, smallest PTTL found } (kept: every key holds the token, and lives for at least the TTL now),
--         { 0, -2 } (missing: at least one key is gone, none is another's; nothing was changed)
--      or { -1, -2 } (another's: at least one key holds something else; nothing was changed).

local locks = ARGV[3] and #KEYS / 2 or #KEYS
local missing = false
for i = 1, locks do
  local value = value_of(KEYS[i])
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
for i = 1, locks do
  local left = redis.call('PTTL', KEYS[i])
  if not found or left < found then
    found = left
  end
  -- Only ever longer: a late or shorter extend must not take back what an earlier one promised.
  if left < ttl then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
lift(locks, ARGV[3], ARGV[4])
return { 1, found }
