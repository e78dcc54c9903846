package redisstore

import "github.com/redis/go-redis/v9"

// scripts are the Lua scripts. Each runs alone in the engine, so it is atomic.
type scripts struct{ get, list, write, sweep, drop *redis.Script }

func newScripts() scripts {
	return scripts{
		get:   redis.NewScript(commonLua + getLua),
		list:  redis.NewScript(commonLua + listLua),
		write: redis.NewScript(commonLua + sweepingLua + writeLua),
		sweep: redis.NewScript(commonLua + sweepingLua + sweepLua),
		drop:  redis.NewScript(commonLua + dropLua),
	}
}

// commonLua begins the scripts. KEYS are those of Stores.keys. ARGV[1] is the time in microseconds, "" for that of the
// engine. An entry of KEYS[3] is "VERSION EXPIRES LENGTH METADATA": expiry in milliseconds, 0 for never; length of the value.
const commonLua = `
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local millis = math.floor(now / 1000)

local function whole(n) return string.format('%.0f', n) end

local function parse(text)
  local version, expires, length, metadata = string.match(text, '^(%d+) (%d+) (%d+) (.*)$')
  expires = tonumber(expires)
  return {
    version = version,
    expires = expires,
    length = tonumber(length),
    metadata = metadata,
    present = expires == 0 or expires > millis,
  }
end
`

// getLua returns the entry and the value of the key ARGV[2], or nothing.
const getLua = `
local text = redis.call('HGET', KEYS[3], ARGV[2])
if not text or not parse(text).present then return false end
return {text, redis.call('HGET', KEYS[4], ARGV[2])}
`

// listLua returns the cursor of the next page, and key, entry and value of each key. ARGV are the bounds of the keys, the
// limit, "1" for values, the number of keys to scan and the bytes of a page.
const listLua = `
local from, to, limit, values, scan, bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local out, count, size, last = {''}, 0, 0, ''
while true do
  local chunk = math.min(scan, math.max(limit - count, 16), 500)
  local keys = redis.call('ZRANGEBYLEX', KEYS[5], from, to, 'LIMIT', 0, chunk + 1)
  local more = #keys > chunk
  if more then keys[#keys] = nil end
  if #keys == 0 then return out end
  local texts = redis.call('HMGET', KEYS[3], unpack(keys))
  for i, key in ipairs(keys) do
    local entry = texts[i] and parse(texts[i])
    if entry and entry.present then
      local value = ''
      if values then
        value = redis.call('HGET', KEYS[4], key)
        size = size + entry.length
      end
      size = size + #key + #entry.metadata
      count = count + 1
      out[#out + 1] = key
      out[#out + 1] = texts[i]
      out[#out + 1] = value
    end
    last = key
    if (i < #keys or more) and (count == limit or size > bytes) then
      out[1] = key
      return out
    end
  end
  scan = scan - #keys
  if not more then return out end
  if scan <= 0 then
    out[1] = last
    return out
  end
  from = '(' .. last
end
`

// sweepingLua is the part of scripts that delete expired keys.
const sweepingLua = `
local usage = {keys = 0, bytes = 0}

local function load(name)
  local text = redis.call('HGET', KEYS[1], name)
  if not text then return false end
  local keys, bytes = string.match(text, '^(%d+) (%d+)$')
  usage.keys, usage.bytes = tonumber(keys), tonumber(bytes)
  return true
end

local function save(name, keys, bytes)
  redis.call('HSET', KEYS[1], name, whole(usage.keys + keys) .. ' ' .. whole(usage.bytes + bytes))
  if keys ~= 0 then redis.call('HINCRBY', KEYS[2], 'keys', whole(keys)) end
  if bytes ~= 0 then redis.call('HINCRBY', KEYS[2], 'bytes', whole(bytes)) end
  usage.keys, usage.bytes = usage.keys + keys, usage.bytes + bytes
end

local function sizeof(key, entry, overhead) return #key + entry.length + #entry.metadata + overhead end

local function remove(key)
  redis.call('HDEL', KEYS[3], key)
  redis.call('HDEL', KEYS[4], key)
  redis.call('ZREM', KEYS[5], key)
end

-- sweep deletes at most limit expired keys, but none that keep has. It returns their number.
local function sweep(name, overhead, limit, keep)
  local keys, bytes = 0, 0
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', whole(millis), 'LIMIT', 0, limit)) do
    if not keep[key] then
      local text = redis.call('HGET', KEYS[3], key)
      if text then
        keys, bytes = keys + 1, bytes + sizeof(key, parse(text), overhead)
        remove(key)
      end
      redis.call('ZREM', KEYS[6], key)
    end
  end
  if keys > 0 then save(name, -keys, -bytes) end
  return keys
end
`

// sweepLua deletes expired keys of the store ARGV[2]. It returns their number.
const sweepLua = `
if not load(ARGV[2]) then return 0 end
return sweep(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), {})
`

// dropLua deletes a store. It returns 0 if there is none.
const dropLua = `
local text = redis.call('HGET', KEYS[1], ARGV[2])
if not text then return 0 end
local keys, bytes = string.match(text, '^(%d+) (%d+)$')
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[5], KEYS[6])
redis.call('HINCRBY', KEYS[2], 'keys', whole(0 - tonumber(keys)))
redis.call('HINCRBY', KEYS[2], 'bytes', whole(0 - tonumber(bytes)))
return 1
`
