-- Looks at the node before it may vote, and at its marker: whether it is the process that it was, since when it has known
-- every lock, and whose node it is. Writes the marker where it is missing, or of another run.
--
-- KEYS     the marker
-- ARGV[1]  the names of all nodes, as this client has them
-- ARGV[2]  the longest TTL of any lock, in whole milliseconds
-- ARGV[3]  `durable` where a marker of another run proves that nothing was forgotten
--
-- Replies { state, run id, eviction policy, maxmemory, marker, milliseconds until the node may vote }: the state is `joined`,
-- `replica`, `cluster` or `mismatch`; with one of the last three nothing was changed.

local info = redis.call('INFO')
local function says(name)
  return string.match(info, '\n' .. name .. ':([^\r\n]*)') or ''
end
local function answer(state, marker, left)
  return { state, says('run_id'), says('maxmemory_policy'), says('maxmemory'), marker, left }
end

if says('role') ~= 'master' then
  return answer('replica', '', 0)
elseif says('cluster_enabled') == '1' then
  return answer('cluster', '', 0)
elseif says('run_id') == '' then
  return redis.error_reply('NOPERM INFO does not tell the run id')
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local max_ttl = tonumber(ARGV[2])

local old = redis.call('GET', KEYS[1])
-- A replica that takes its master's data over goes on as the same process, but with another replication id.
local life = says('run_id') .. ':' .. says('master_replid')
local run, since, longest, nodes = string.match(old or '', '^1 (%S+) (%d+) (%d+) (%S+)$')
if old and not run then
  return answer('mismatch', old, 0)
elseif not old then
  -- Brand-new, or wiped: it knows no lock, and nobody can say whether there was one.
  since = now
elseif nodes ~= ARGV[1] or longest ~= ARGV[2] then
  return answer('mismatch', old, 0)
elseif run ~= life then
  -- Disks vouch for restarts, not for data that came from another server: a replica that was promoted has its master's marker,
  -- and its master's replication id as the second one of its own. After a restart
  -- from an append-only file there is none (all zeros).
  local promoted = string.find(says('master_replid2'), '[^0]')
  local restarted = string.match(run, '^[^:]*') ~= says('run_id') and not promoted
  if ARGV[3] ~= 'durable' or not restarted then
    since = now
  end
end
since = tonumber(since)
-- A clock that was set back must not make the quarantine longer than it is.
if since > now then
  since = now
end

local marker = string.format('1 %s %.0f %s %s', life, since, ARGV[2], ARGV[1])
if marker ~= old then
  redis.call('SET', KEYS[1], marker)
end
return answer('joined', marker, math.max(0, since + max_ttl - now))
