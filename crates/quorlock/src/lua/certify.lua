-- Raises the fence counters of an attempt to the highest that it was counted as anywhere, where they still stand at what
-- was granted here and it still holds every key: so this node has seen no other holder in between.
--
-- KEYS     the lock keys, then their fence counters
-- ARGV[1]  token
-- ARGV[2]  the counter that was granted here
-- ARGV[3]  the fencing token
-- ARGV[4]  how many milliseconds the counters are kept
--
-- Replies 1 (granted: the counters stand at the fencing token) or 0 (denied: nothing was changed).

local locks = #KEYS / 2
for i = 1, locks do
  if value_of(KEYS[i]) ~= ARGV[1] or value_of(KEYS[locks + i]) ~= ARGV[2] then
    return 0
  end
end
for i = locks + 1, #KEYS do
  count(KEYS[i], ARGV[3], ARGV[4])
end
return 1
