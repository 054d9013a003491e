-- Put in front of `release.lua`: what nearly every release finds. One key, and it still holds the token; of a fenced lease,
-- the counter stands at the fencing token. (It has been kept for long enough since the last extend, or the acquire.)
--
-- Replies 1.
--
if #KEYS == (ARGV[2] and 2 or 1) and redis.pcall('GET', KEYS[1]) == ARGV[1] then
  if not ARGV[2] or redis.pcall('GET', KEYS[2]) == ARGV[2] then
    return redis.call('DEL', KEYS[1])
  end
end

