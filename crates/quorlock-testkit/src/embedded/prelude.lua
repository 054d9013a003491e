-- What a script finds in the server: the `redis` table, the libraries, read-only globals, and errors that
-- tell where they were raised.
--
-- Arguments: line()         the line of the user's script that runs now
--            sha1(text)     hexadecimal
--            raising(ask)   the same function, but an error reply is raised
--            raised(error)  the text of an error reply that was raised, or nil
-- Returns run(commands, script, keys, argv): true and the script's value, or false, the error and its line.

local line, sha1, raising, raised = ...

-- Runs a list of words; set for the time of a script.
local commands

local function failure(text)
  return { err = 'ERR ' .. text }
end

local function words(...)
  local list = { ... }
  for i = 1, select('#', ...) do
    local kind = type(list[i])
    if kind == 'number' then
      -- The default conversion loses digits; the server's does not.
      list[i] = string.format('%.17g', list[i])
    elseif kind ~= 'string' then
      return nil, failure('Lua redis lib command arguments must be strings or integers')
    end
  end
  if #list == 0 then
    return nil, failure('Please specify at least one argument for this redis lib call')
  end
  return list
end

local redis = { sha1hex = sha1 }

function redis.pcall(...)
  local list, problem = words(...)
  return problem or commands(list)
end

-- Not written in Lua: a tail call to a Lua function would forget the line it came from.
redis.call = raising(redis.pcall)

function redis.status_reply(text)
  return { ok = text }
end

function redis.error_reply(text)
  text = string.gsub(text, '^%-', '')
  if not string.find(text, ' ', 1, true) then
    text = 'ERR ' .. text
  end
  return { err = text }
end

-- A raised error reply is a table for `xpcall` and a text for `pcall`, as in the server.
local function plain(problem)
  local text = raised(problem)
  return text and { err = text } or problem
end

local function guarded(fine, ...)
  if fine then
    return true, ...
  end
  local problem = plain((...))
  if type(problem) == 'table' and type(problem.err) == 'string' then
    problem = problem.err
  end
  return false, problem
end

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function readonly(content)
  return setmetatable({}, { __index = content, __newindex = refuse })
end

local globals = {
  redis = readonly(redis), string = readonly(string), table = readonly(table), math = readonly(math),
  ipairs = ipairs, pairs = pairs, next = next, select = select, unpack = unpack,
  type = type, tonumber = tonumber, tostring = tostring,
  error = error, assert = assert,
  pcall = function(...)
    return guarded(pcall(...))
  end,
  xpcall = function(f, handler)
    return xpcall(f, function(problem)
      return handler(plain(problem))
    end)
  end,
  setmetatable = setmetatable, getmetatable = getmetatable,
  rawequal = rawequal, rawget = rawget, rawset = rawset,
}

local guard = {
  __index = function(_, name)
    local value = globals[name]
    if value == nil then
      error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end
    return value
  end,
  __newindex = refuse,
}

local function located(problem)
  problem = plain(problem)
  local text = type(problem) == 'table' and problem.err or 'ERR ' .. tostring(problem)
  return { text = text, line = line() }
end

return function(run, script, keys, argv)
  commands = run
  setfenv(script, setmetatable({ KEYS = keys, ARGV = argv }, guard))
  local fine, value = xpcall(script, located)
  commands = nil
  if fine then
    return true, value
  end
  return false, value.text, value.line
end
