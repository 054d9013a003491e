-- Takes every key, or none: step 2 of the published algorithm for a set of resources.
-- (One resource needs no script: SET key token NX PX ttl.)
--
-- KEYS     the lock keys
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
--
-- Replies 1 (granted) or 0 (denied: at least one key is there; nothing was changed).

if redis.call('EXISTS', unpack(KEYS)) > 0 then
  return 0
end
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return 1
