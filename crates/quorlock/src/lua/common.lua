-- Put in front of the scripts that compare: what they share.
--
-- What a key holds: its value, false if it is gone, or a table if it is of another type and so somebody else's. Other
-- errors (no right, for one) say nothing about the key: they end the script.
local function value_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' and value.err and not string.find(value.err, 'WRONGTYPE', 1, true) then
    error(value.err, 0)
  end
  return value
end

-- Sets a fence counter, to be kept for at least so many milliseconds: never for less than it was, since another holder's
-- lock may last for longer.
local function count(counter, number, retention)
  local left = redis.call('PTTL', counter)
  redis.call('SET', counter, number, 'PX', string.format('%.0f', math.max(left, tonumber(retention))))
end

-- Lifts the fence counters behind the first `locks` keys to a fencing token, where they stand lower or are gone, and keeps
-- them for longer, unless `is_over`: a release needs that no more. It only helps the next holder to a token in one round: what stands in its way is left alone.
local function lift(locks, token, retention, is_over)
  for i = locks + 1, #KEYS do
    local before = redis.pcall('GET', KEYS[i])
    local number = type(before) == 'string' and string.match(before, '^%d+$') and tonumber(before)
    if number and number >= tonumber(token) then
      if not is_over then
        pcall(count, KEYS[i], before, retention)
      end
    elseif number or before == false then
      pcall(count, KEYS[i], token, retention)
    end
  end
end

