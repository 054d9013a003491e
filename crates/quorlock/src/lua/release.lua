-- Deletes every key that holds the token, and no other: compare and delete.
--
-- KEYS     the lock keys
-- ARGV[1]  token
--
-- Replies { keys deleted, keys that hold something else }; the rest was already gone.

local deleted, others = 0, 0
for _, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  if value == ARGV[1] then
    deleted = deleted + redis.call('DEL', key)
  elseif value ~= false then
    others = others + 1
  end
end
return { deleted, others }
