package redisstore

// writeLua makes a write. ARGV[2] is the store; 3 to 7 are the quotas: bytes and keys of the store, bytes and keys of all
// stores, and stores; 8 is the overhead of an entry, 9 the number of keys to sweep. Each change has six more: kind, key,
// version that it expects or "", expiry, metadata, and value or summand.
//
// It returns "ok" with version, presence and number for each change, or why it changed nothing. All that can fail comes
// before the first change. Numbers of 64 bits exceed those of Lua, so they are added in two halves of ten digits.
const writeLua = `
local name, overhead = ARGV[2], tonumber(ARGV[8])
local half = 10000000000

-- number returns sign and halves of a decimal number of 64 bits, or nothing.
local function number(text)
  local sign, digits = string.match(text, '^([+-]?)(%d+)$')
  if not digits then return end
  digits = string.gsub(digits, '^0+', '')
  if #digits > 19 then return end
  sign = sign == '-' and -1 or 1
  local low = tonumber(string.sub(digits, -10)) or 0
  local high = tonumber(string.sub(digits, 1, -11)) or 0
  return high * sign, low * sign
end

-- fits reports whether halves of one sign are a number of 64 bits.
local function fits(high, low)
  local most = (high < 0 or low < 0) and 6854775808 or 6854775807
  return math.abs(high) < 922337203 or math.abs(high) == 922337203 and math.abs(low) <= most
end

-- add returns the sum, or nothing and whether it is too large.
local function add(text, delta)
  local h1, l1 = number(text)
  if not h1 or not fits(h1, l1) then return nil, false end
  local h2, l2 = number(delta)
  local high, low = h1 + h2, l1 + l2
  if high > 0 and low < 0 then high, low = high - 1, low + half end
  if high < 0 and low > 0 then high, low = high + 1, low - half end
  if low >= half then high, low = high + 1, low - half end
  if low <= -half then high, low = high - 1, low + half end
  if not fits(high, low) then return nil, true end
  local sign = (high < 0 or low < 0) and '-' or ''
  high, low = math.abs(high), math.abs(low)
  if high == 0 then return sign .. whole(low) end
  return sign .. whole(high) .. string.format('%010.0f', low)
end

local exists = load(name)
local steps, keep = {}, {}
local keys, bytes, creates = 0, 0, false
for at = 10, #ARGV, 6 do
  local op, key, expected, value = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 5]
  local step = {key = key, version = '0', existed = 0, number = '0'}
  local text = exists and redis.call('HGET', KEYS[3], key)
  local before, entry = nil, nil
  if text then
    before = parse(text)
    if before.present then entry = before end
    keys, bytes = keys - 1, bytes - sizeof(key, before, overhead)
  end
  local version = entry and entry.version or '0'
  if expected ~= '' and expected ~= version then return {'conflict', key, version, expected} end
  if entry then step.existed = 1 end
  if op == '0' then
    step.after = {expires = tonumber(ARGV[at + 3]), metadata = ARGV[at + 4]}
  elseif op == '2' then
    step.after = {expires = 0, metadata = ''}
    if entry then
      if entry.length > 100 then return {'text', key} end
      local sum, large = add(redis.call('HGET', KEYS[4], key), value)
      if not sum then return {large and 'sum' or 'text', key} end
      value, step.after.expires, step.after.metadata = sum, entry.expires, entry.metadata
    end
    step.number = value
  end
  step.before = before
  if step.after then
    step.value, step.after.length, creates = value, #value, true
    keys, bytes = keys + 1, bytes + sizeof(key, step.after, overhead)
  end
  keep[key] = true
  steps[#steps + 1] = step
end

local function full()
  local all = redis.call('HMGET', KEYS[2], 'bytes', 'keys')
  local quotas = {
    {bytes, usage.bytes, ARGV[3], 'bytes of the store'},
    {keys, usage.keys, ARGV[4], 'keys of the store'},
    {bytes, tonumber(all[1] or 0), ARGV[5], 'bytes of all stores'},
    {keys, tonumber(all[2] or 0), ARGV[6], 'keys of all stores'},
  }
  for _, q in ipairs(quotas) do
    if q[1] > 0 and q[2] + q[1] > tonumber(q[3]) then return {'full', whole(q[2]), q[3], q[4]} end
  end
end

if creates or exists then
  if not exists and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then return {'stores', ARGV[7]} end
  local reason = full()
  if reason then
    if not exists or sweep(name, overhead, tonumber(ARGV[9]), keep) == 0 then return reason end
    reason = full()
    if reason then return reason end
  end
  -- A command that needs no memory, in front of all others: an engine whose memory is full lets the script go on.
  if bytes <= 0 then redis.call('HDEL', KEYS[3], '') end
end

local last = 0
if creates then last = tonumber(redis.call('HGET', KEYS[2], 'version') or 0) end
local out = {'ok'}
for _, step in ipairs(steps) do
  local key, before, after = step.key, step.before, step.after
  if after then
    last = math.max(last + 1, now)
    step.version = whole(last)
    redis.call('HSET', KEYS[3], key, step.version .. ' ' .. whole(after.expires) .. ' ' .. after.length .. ' ' .. after.metadata)
    redis.call('HSET', KEYS[4], key, step.value)
    if not before then redis.call('ZADD', KEYS[5], 0, key) end
  elseif before then
    remove(key)
  end
  if after and after.expires > 0 then
    redis.call('ZADD', KEYS[6], whole(after.expires), key)
  elseif before and before.expires > 0 then
    redis.call('ZREM', KEYS[6], key)
  end
  out[#out + 1] = step.version
  out[#out + 1] = step.existed
  out[#out + 1] = step.number
end
if creates then redis.call('HSET', KEYS[2], 'version', whole(last)) end
if creates or exists then save(name, keys, bytes) end
return out
`
