-- Takes every key, or none: step 2 of the published algorithm for a set of resources.
-- (One resource needs no script, where the connection is told of every change of the marker: SET key token NX PX ttl.)
--
-- KEYS     the lock keys; where the marker is to be compared, then the marker
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
-- ARGV[3]  where it is to be compared: the marker as it was when the node was joined
--
-- Replies 1 (granted), 0 (denied: at least one key is there; nothing was changed),
--      or -2 (the marker is another: nothing was changed).

local locks = ARGV[3] and #KEYS - 1 or #KEYS
if ARGV[3] and redis.call('GET', KEYS[#KEYS]) ~= ARGV[3] then
  return -2
end
if redis.call('EXISTS', unpack(KEYS, 1, locks)) > 0 then
  return 0
end
for i = 1, locks do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
end
return 1
