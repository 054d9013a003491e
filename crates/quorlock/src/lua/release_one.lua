-- Put in front of `release.lua`: what nearly every release finds. One key, and it still holds the token.
--
-- Replies 1.
--
if #KEYS == 1 and redis.pcall('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end

