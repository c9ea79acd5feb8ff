-- Admission: decides on a request for a code and writes its consequence, in one step.
-- KEYS[1]  the number's entry
-- ARGV     candidate id, purpose, masked number, ttl, resend interval, longest life, most wrong codes (times in ms)
-- Returns  {'admitted', id, send, now, expires, next, wrong} | {'cooldown', wait} | {'locked', wait}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local candidate, purpose, to = ARGV[1], ARGV[2], ARGV[3]
local ttl, interval, life, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local v = redis.call('HMGET', KEYS[1],
  'id', 'purpose', 'status', 'began', 'expires', 'next', 'send', 'wrong', 'wrong_until', 'candidate', 'shown', 'delivery')
local id, began, expires, next = v[1], tonumber(v[4] or 0), tonumber(v[5] or 0), tonumber(v[6] or 0)
local send, wrong, wrong_until = tonumber(v[7] or 0), tonumber(v[8] or 0), tonumber(v[9] or 0)
if now >= wrong_until then wrong, wrong_until = 0, 0 end

-- The same request again, because the connection broke before its answer arrived.
if v[10] == candidate then
  return {'admitted', id, send, now, expires, next, wrong}
end
if wrong >= most then return {'locked', wrong_until - now} end
if now < next then return {'cooldown', next - now} end

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
redis.call('HSET', KEYS[1],
  'id', id, 'purpose', purpose, 'to', to, 'status', 'pending', 'delivery', 'queued', 'began', began,
  'expires', expires, 'next', next, 'send', send, 'shown', send, 'wrong', wrong, 'wrong_until', wrong_until, 'candidate', candidate)
redis.call('PEXPIREAT', KEYS[1], math.max(expires, next, wrong_until))
return {'admitted', id, send, now, expires, next, wrong}
