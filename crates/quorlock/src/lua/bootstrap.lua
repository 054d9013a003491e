-- Says that a node is brand-new: it has forgotten nothing, and may vote at once. Only where it holds nothing that could be
-- a lock or its fence counter: no key of this database has an expiry.
--
-- KEYS     the marker
-- ARGV[1]  the names of all nodes, as this client has them
-- ARGV[2]  the longest TTL of any lock, in whole milliseconds
-- ARGV[3]  the number of the database
-- ARGV[4]  `look` only looks
--
-- Replies { state, keys with an expiry, or the marker }: the state is `new` (and made to vote, unless it was only looked at), `known` (it
-- votes already: nothing was changed), `used` (it holds keys with an expiry: nothing was changed) or `mismatch` (the marker
-- is another's: nothing was changed).

local info = redis.call('INFO')
local run = string.match(info, '\nrun_id:([^\r\n]*)')
if not run then
  return redis.error_reply('NOPERM INFO does not tell the run id')
end
-- As in `join.lua`.
local life = run .. ':' .. (string.match(info, '\nmaster_replid:([^\r\n]*)') or '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local old = redis.call('GET', KEYS[1])
local of, since, longest, nodes = string.match(old or '', '^1 (%S+) (%d+) (%d+) (%S+)$')
if old and (longest ~= ARGV[2] or nodes ~= ARGV[1]) then
  return { 'mismatch', old }
elseif old and of == life and since + ARGV[2] <= now then
  return { 'known', 0 }
end
local expires = string.match(info, '\ndb' .. ARGV[3] .. ':[^\r\n]*expires=(%d+)')
if expires and expires ~= '0' then
  return { 'used', tonumber(expires) }
end
if ARGV[4] ~= 'look' then
  redis.call('SET', KEYS[1], string.format('1 %s 0 %s %s', life, ARGV[2], ARGV[1]))
end
return { 'new', 0 }
