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
  local left, kept = redis.pcall('PTTL', KEYS[2]), ARGV[4]
  -- A counter without an expiry is nothing that was set here.
  if type(left) == 'number' and left ~= -1 then
    if left > tonumber(kept) then
      -- Kept for no less long than it was: another holder's lock may last for longer.
      kept = string.format('%.0f', left)
    end
    local before = redis.pcall('SET', KEYS[2], ARGV[3], 'PX', kept, 'GET')
    if type(before) ~= 'table' then
      local number, proposal = 0, tonumber(ARGV[3])
      if before then
        number = string.find(before, '^%d+$') and tonumber(before)
      end
      if number and proposal > number then
        if before and proposal <= number + 60000000 then
          return 1
        end
        -- As far from the holder before as hardly any.
        local time = redis.pcall('TIME')
        if not time.err and proposal <= (time[1] + 86400) * 1000000 then
          return 1
        end
      end
      if before then
        redis.pcall('SET', KEYS[2], before, 'PX', string.format('%.0f', math.max(left, 1)))
      else
        redis.pcall('DEL', KEYS[2])
      end
    end
  end
  redis.call('DEL', KEYS[1])
end

