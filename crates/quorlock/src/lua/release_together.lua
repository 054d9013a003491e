-- Compares and deletes for several locks at once: one resource each, none of them fenced. Costs the server half of a script
-- for each.
--
-- KEYS  the lock keys, one of each lock
-- ARGV  their tokens, in the same order
--
-- Replies 1 (every key was deleted), or for each lock 1 (its key was deleted) or 0 (it was not; `release.lua` tells why).

local held, deleted = {}, {}
for i = 1, #KEYS do
  local is_held = redis.pcall('GET', KEYS[i]) == ARGV[i]
  deleted[i] = is_held and 1 or 0
  if is_held then
    held[#held + 1] = KEYS[i]
  end
end
if #held > 0 and redis.call('DEL', unpack(held)) == #KEYS then
  return 1
end
return deleted
