-- Put in front of `acquire_fenced.lua`: what nearly every attempt finds. One key that is free, and a fence counter that stands
-- at less than the proposal, or not at all. Whatever else there is, is left to that one, as if nothing had been done here.
--
-- Replies 1 (granted, and counted as the proposal) or 0 (denied).
--
local set = #KEYS == 2 and redis.pcall('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if #KEYS == 2 and not set then
  return 0
end
if set and not set.err then
  -- Nothing here may end the script: the key would stay.
  local before, time = redis.pcall('GET', KEYS[2]), redis.pcall('TIME')
  local proposal, number, kept = tonumber(ARGV[3]), 0, ARGV[4]
  if before then
    number = type(before) == 'string' and string.find(before, '^%d+$') and tonumber(before)
    local left = number and redis.pcall('PTTL', KEYS[2])
    if type(left) ~= 'number' then
      number = false
    elseif left > tonumber(kept) then
      -- Kept for no less long than it was: another holder's lock may last for longer.
      kept = string.format('%.0f', left)
    end
  end
  if number and proposal > number and not time.err and proposal <= (time[1] + 86400) * 1000000 then
    if not redis.pcall('SET', KEYS[2], ARGV[3], 'PX', kept).err then
      return 1
    end
  end
  redis.call('DEL', KEYS[1])
end

