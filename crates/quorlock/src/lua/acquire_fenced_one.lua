-- Put in front of `acquire_fenced.lua`: what nearly every attempt finds. One key that is free, and a fence counter that stands
-- at less than the proposal, or not at all. Whatever else there is, is left to that one, as if nothing had been done here.
--
-- Replies { 1, the proposal } or { 0, 0 }.
--
local set = #KEYS == 2 and redis.pcall('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if #KEYS == 2 and not set then
  return { 0, 0 }
end
if set and not set.err then
  -- Nothing here may end the script: the key would stay.
  local before, time, left = redis.pcall('GET', KEYS[2]), redis.pcall('TIME'), 0
  if type(before) == 'string' then
    left = string.find(before, '^%d+$') and redis.pcall('PTTL', KEYS[2])
  end
  if type(before) ~= 'table' and type(left) == 'number' and not time.err then
    local proposal = tonumber(ARGV[3])
    if proposal > tonumber(before or 0) and proposal <= (time[1] + 86400) * 1000000 then
      -- Kept for no less long than it was: another holder's lock may last for longer.
      left = string.format('%.0f', math.max(left, tonumber(ARGV[4])))
      if not redis.pcall('SET', KEYS[2], ARGV[3], 'PX', left).err then
        return { 1, proposal }
      end
    end
  end
  redis.call('DEL', KEYS[1])
end

