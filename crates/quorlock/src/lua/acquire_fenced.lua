-- Takes every key, or none, and counts: step 2 of the published algorithm, with a fence counter beside each key.
--
-- KEYS     the lock keys, then their fence counters; where the marker is to be compared, then the marker
-- ARGV[1]  token
-- ARGV[2]  TTL in whole milliseconds
-- ARGV[3]  the least to be counted as: a time of day in microseconds since 1970
-- ARGV[4]  how many milliseconds the counters are kept
-- ARGV[5]  where it is to be compared: the marker as it was when the node was joined
--
-- Replies what `acquire_fenced_one.lua` replies where it could tell, or
--         { 1, counter } (granted: every key holds the token, every counter stands at this number, which is above what
--                         each stood at before)
--      or { 0, 0 } (denied: at least one key is there; nothing was changed),
--      or { -2, 0 } (the marker is another: nothing was changed),
--      or an error, before anything was changed.

local locks = math.floor(#KEYS / 2)
if ARGV[5] and redis.call('GET', KEYS[#KEYS]) ~= ARGV[5] then
  return { -2, 0 }
end
if redis.call('EXISTS', unpack(KEYS, 1, locks)) > 0 then
  return { 0, 0 }
end

local counter = 0
for i = locks + 1, 2 * locks do
  local before = value_of(KEYS[i])
  if before then
    local number = type(before) == 'string' and string.match(before, '^%d+$') and tonumber(before)
    -- Above 2^53 a script cannot count by one any more.
    if not number or number >= 9007199254740991 then
      return redis.error_reply('FENCE no counter that could count on: ' .. KEYS[i])
    end
    counter = math.max(counter, number)
  end
end
-- A clock that is far ahead must not use up the numbers of all that come after it: no more than a minute beyond the holder before, or
-- a day beyond this node's clock.
local proposal, is_sane = tonumber(ARGV[3]), true
if proposal > counter + 60000000 then
  local time = redis.pcall('TIME')
  if time.err then
    return redis.error_reply('NOPERM fencing tokens need the right to TIME')
  end
  is_sane = proposal <= (time[1] + 86400) * 1000000
end
counter = math.max(counter + 1, is_sane and proposal or 0)

-- First what may fail, and the keys last: an error half way must leave no lock.
for i = locks + 1, 2 * locks do
  count(KEYS[i], string.format('%.0f', counter), ARGV[4])
end
for i = 1, locks do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
end
return { 1, counter }
