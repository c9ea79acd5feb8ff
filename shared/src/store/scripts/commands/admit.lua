-- Admission: decides on a request for a code and writes its consequence, in one step.
-- KEYS     the number's entry, the times of its SMS, until when it counts as verified before (ms), the limits
-- ARGV     candidate id, purpose, masked number, ttl, resend interval, longest life, most wrong codes, what the conversion
--          guard knows the number by, how many windows the number has, then two values for each window (most, span), then
--          those of the limits (times in ms)
-- Returns  {'admitted', id, send, now, expires, when the cooldown ends, when the windows have room, wrong, how many limits are
--          observed and not as they should be, how many budgets are spent to the share at which that is told, 1 if the number
--          was verified before}
--          | {'refused', 'attempts', 'cooldown', 'number' or the index of a limit, its wait, ...}
--          | {'challenge'} if that is all that stands in the way
local micros = clock()
local now = math.floor(micros / 1000)
local candidate, purpose, to = ARGV[1], ARGV[2], ARGV[3]
local ttl, interval, life, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local guarded_as, windows = ARGV[8], tonumber(ARGV[9])
local limits = 10 + 2 * windows

local v = redis.call('HMGET', KEYS[1], 'id', 'purpose', 'status', 'began', 'expires', 'next', 'send', 'wrong', 'wrong_until',
  'candidate', 'shown', 'delivery', 'quota')
local id, began, expires, next = v[1], tonumber(v[4] or 0), tonumber(v[5] or 0), tonumber(v[6] or 0)
local send, wrong, wrong_until = tonumber(v[7] or 0), tonumber(v[8] or 0), tonumber(v[9] or 0)
if now >= wrong_until then wrong, wrong_until = 0, 0 end

-- The same request again, because the connection broke before its answer arrived.
if v[10] == candidate then
  return {'admitted', id, send, now, expires, next, tonumber(v[13] or 0), wrong, 0, 0, 1}
end

-- Of the number's windows: how many SMS, in how long.
local most_of, span_of = {}, {}
for i = 1, windows do
  most_of[i], span_of[i] = tonumber(ARGV[8 + 2 * i]), tonumber(ARGV[9 + 2 * i])
end

-- When the windows have room for one more, given the times of the number's SMS, the latest first.
local function room(times)
  local at = 0
  for i = 1, windows do
    local oldest = times[most_of[i]]
    if oldest then at = math.max(at, oldest + span_of[i]) end
  end
  return at
end

local stored, times = redis.call('MGET', unpack(KEYS, 2)), {}
for at in string.gmatch(stored[1] or '', '%d+') do times[#times + 1] = tonumber(at) end
local found = look(4, #KEYS, limits, stored, 3, micros)
local full, verified = found.full, now < tonumber(stored[2] or 0)
local function refuse(name, at)
  if now < at then full[#full + 1], full[#full + 2] = name, at - now end
end
if not verified then
  for i = 1, #found.reserved, 2 do refuse(found.reserved[i], now + found.reserved[i + 1]) end
end
if wrong >= most then refuse('attempts', wrong_until) end
refuse('cooldown', next)
refuse('number', room(times))
if #full > 0 then return {'refused', unpack(full)} end
if found.suspicious > 0 then return {'challenge'} end

-- A pending verification goes on under its id, unless its life is so far spent that a code renewed now would be gone
-- before another could be asked for.
local continues = id and v[2] == purpose and v[3] == 'pending' and now < expires
  and began + life - now >= math.min(interval, ttl)
if continues then
  -- What a release goes back to.
  redis.call('HSET', KEYS[1], 'before', v[5] .. ':' .. v[11] .. ':' .. v[12])
  send = send + 1
else
  id, began, send = candidate, now, 1
  -- What is left of the one before, or of its wrong codes.
  if v[10] or v[9] then redis.call('DEL', KEYS[1]) end
end
expires = math.min(now + ttl, began + life)
next = now + interval
local nth = text(send)
redis.call('HSET', KEYS[1],
  'id', id, 'purpose', purpose, 'to', to, 'status', 'pending', 'delivery', 'queued', 'began', text(began),
  'expires', text(expires), 'next', text(next), 'send', nth, 'shown', nth, 'wrong', text(wrong), 'wrong_until', text(wrong_until),
  'candidate', candidate, 'guard', guarded_as)
redis.call('PEXPIREAT', KEYS[1], text(math.max(expires, next, wrong_until)))

local quota = 0
if windows > 0 then
  local keep, longest = math.max(unpack(most_of)), math.max(unpack(span_of))
  table.insert(times, 1, now)
  redis.call('SET', KEYS[2], table.concat(times, ' ', 1, math.min(#times, keep)), 'PX', text(longest))
  -- So that whoever asks how it stands is told the truth, until a window has room again.
  quota = room(times)
  if quota > next then redis.call('HSET', KEYS[1], 'quota', text(quota)) end
end
count(4, #KEYS, found.counted, micros)
return {'admitted', id, send, now, expires, next, quota, wrong, found.observed, found.alarm, verified and 1 or 0}
