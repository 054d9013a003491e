-- Compares and deletes for several locks at once: one resource each, none of them fenced. Costs the server half of a script
-- for each.
--
-- KEYS  the lock keys, one of each lock
-- ARGV  their tokens, in the same order
--
-- Replies 1 (every key held its token, and is deleted), or for each lock 1 (the same), 0 (its key was gone already), 2 (it
-- holds something else), 3 (it could not be read, which says nothing about it).

local count, first = #KEYS, 1
while first <= count and redis.pcall('GET', KEYS[first]) == ARGV[first] do
  first = first + 1
end
if first > count then
  redis.call('DEL', unpack(KEYS))
  return 1
end

local held, said = {}, {}
for i = 1, count do
  local value = redis.pcall('GET', KEYS[i])
  if value == ARGV[i] then
    held[#held + 1] = KEYS[i]
    said[i] = 1
  elseif value == false then
    said[i] = 0
  elseif type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
    said[i] = 3
  else
    said[i] = 2
  end
end
if #held > 0 then
  redis.call('DEL', unpack(held))
end
return said
