-- Deletes every key that holds the token, and no other: compare and delete. Sent for a set of resources, for what an
-- attempt may have left, and where the server cannot do it natively.
--
-- KEYS     the lock keys
-- ARGV[1]  token
--
-- Replies { keys deleted, keys that hold something else, how many of those never expire }; the rest was already gone.

-- What a key holds: its value, false if it is gone, or a table if it is of another type and so somebody else's. Other
-- errors (no right, for one) say nothing about the key: they end the script.
local function value_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' and value.err and not string.find(value.err, 'WRONGTYPE', 1, true) then
    error(value.err, 0)
  end
  return value
end

local deleted, others, foreign = 0, 0, 0
for _, key in ipairs(KEYS) do
  local value = value_of(key)
  if value == ARGV[1] then
    deleted = deleted + redis.call('DEL', key)
  elseif value ~= false then
    others = others + 1
    if redis.call('PTTL', key) == -1 then
      foreign = foreign + 1
    end
  end
end
return { deleted, others, foreign }
