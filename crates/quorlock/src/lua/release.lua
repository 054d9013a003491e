-- Deletes every key that holds the token, and no other: compare and delete. Sent for a set of resources, for what an
-- attempt may have left, for a fenced lease, and for one resource where the server cannot do it natively and no other lock is
-- given back at the same moment (`release_together.lua`).
--
-- KEYS     the lock keys; of a fenced lease, then their fence counters
-- ARGV[1]  token
-- ARGV[2]  of a fenced lease: its fencing token
-- ARGV[3]  and how many milliseconds its counters are kept
--
-- Replies 1 (one key, and it was deleted: `release_one.lua`), or { keys deleted, keys that hold something else, how many of
-- those never expire }; the rest was already gone.

local locks = ARGV[2] and #KEYS / 2 or #KEYS
local deleted, others, foreign = 0, 0, 0
for i = 1, locks do
  local value = value_of(KEYS[i])
  if value == ARGV[1] then
    deleted = deleted + redis.call('DEL', KEYS[i])
  elseif value ~= false then
    others = others + 1
    if redis.call('PTTL', KEYS[i]) == -1 then
      foreign = foreign + 1
    end
  end
end
lift(locks, ARGV[2], ARGV[3], true)
return { deleted, others, foreign }
