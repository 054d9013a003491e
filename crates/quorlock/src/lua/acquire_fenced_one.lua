-- Put in front of `acquire_fenced.lua`: what nearly every attempt finds. One key that is free, and a fence counter that stands
-- at less than the proposal, or not at all. Whatever else there is, is left to that one, as if nothing had been done here.
--
-- Replies { 1, the proposal } or { 0, 0 }.
--
if #KEYS == 2 then
  if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return { 0, 0 }
  end
  local before, time = redis.pcall('GET', KEYS[2]), redis.pcall('TIME')
  local is_number = type(before) == 'string' and string.find(before, '^%d+$')
  if not time.err and (is_number or before == false) then
    local proposal = tonumber(ARGV[3])
    if proposal > tonumber(before or 0) and proposal <= (time[1] + 86400) * 1000000 then
      -- Kept for no less long than it was: another holder's lock may last for longer.
      local left = before and math.max(redis.call('PTTL', KEYS[2]), tonumber(ARGV[4]))
      local set = redis.pcall('SET', KEYS[2], ARGV[3], 'PX', left and string.format('%.0f', left) or ARGV[4])
      if not set.err then
        return { 1, proposal }
      end
    end
  end
  redis.call('DEL', KEYS[1])
end

