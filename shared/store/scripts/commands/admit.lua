-- Admission: decides on a request for a code and writes the result, in one step.
-- KEYS     the number's record, the times of its SMS, the end of its time as verified before (ms),
--          the limits
-- ARGV     candidate id, purpose, masked number, ttl, resend interval, longest lifetime, maximum of
--          wrong codes, subjects of the conversion guard, number of the number's windows, then two
--          values for each window (max, period), then those of the limits (times in ms)
-- Returns  {'admitted', id, number of the SMS, now, expires, end of the cooldown, time at which the
--          windows have room, wrong codes, number of limits that only observe and are exceeded or
--          suspicious, number of budgets that reach their alarm threshold, 1 if the number was
--          verified before}
--          | {'again', ... as before up to wrong codes, status, delivery, expiry of wrong codes} if
--          the same request was admitted before
--          | {'refused', 'attempts', 'cooldown', 'number' or the index of a limit, its wait, ...}
--          | {'challenge'} if a challenge must be solved first, and nothing else is in the way
--
-- Fields of a number's record (a hash; times in ms since 1970):
--   id, purpose, to, status, delivery, expires
--                      of its latest verification
--   began, next        its creation, and the time at which another SMS may be requested
--   quota              time at which the number's windows have room, if later than `next`
--   send, shown        number of the latest SMS, and of the one that `delivery` is of
--   before             expires:shown:delivery before the latest SMS was admitted: for a release
--   candidate          the request that was admitted last; '' after its release
--   guard              subjects of the conversion guard, separated by spaces
--   wrong, wrong_until number of wrong codes, and the time until which they count
--   checked            identifier of the latest check
--   cancelled          1 if its caller cancelled it
--   sms:N              state of SMS N: 'sent', 'released', 'unknown', or the lease of a worker
--   message:ID         number of the SMS that a gateway's message ID is of
--   receipt:ID         a delivery report that came before `message:ID` was known
local micros = clock()
local now = math.floor(micros / 1000)
local candidate, purpose, to = ARGV[1], ARGV[2], ARGV[3]
local ttl, interval, life = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local max_attempts, guarded_as, windows = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local limits = 10 + 2 * windows

local v = redis.call('HMGET', KEYS[1], 'id', 'purpose', 'status', 'began', 'expires', 'next',
  'send', 'wrong', 'wrong_until', 'candidate', 'shown', 'delivery', 'quota')
local id, created_at, expires = v[1], tonumber(v[4] or 0), tonumber(v[5] or 0)
local resend_at, sms_number = tonumber(v[6] or 0), tonumber(v[7] or 0)
local wrong, wrong_until = tonumber(v[8] or 0), tonumber(v[9] or 0)
if now >= wrong_until then wrong, wrong_until = 0, 0 end

-- The same request again, because the connection broke before its reply arrived.
if v[10] == candidate then
  local status, delivery, limits_free_at = v[3], v[12], tonumber(v[13] or 0)
  return {'again', id, sms_number, now, expires, resend_at, limits_free_at, wrong, status, delivery,
    wrong_until}
end

-- The number's windows: the maximum of SMS, and the period.
local max_of, period_of = {}, {}
for i = 1, windows do
  max_of[i], period_of[i] = tonumber(ARGV[8 + 2 * i]), tonumber(ARGV[9 + 2 * i])
end

-- Time at which the windows have room for one more, given the times of the number's SMS, the latest
-- first.
local function free_at(times)
  local at = 0
  for i = 1, windows do
    local oldest = times[max_of[i]]
    if oldest then at = math.max(at, oldest + period_of[i]) end
  end
  return at
end

local stored, times = redis.call('MGET', unpack(KEYS, 2)), {}
for at in string.gmatch(stored[1] or '', '%d+') do times[#times + 1] = tonumber(at) end
local check = evaluate(4, #KEYS, limits, stored, 3, micros)
local exceeded, verified = check.exceeded, now < tonumber(stored[2] or 0)
local function refuse(name, at)
  if now < at then exceeded[#exceeded + 1], exceeded[#exceeded + 2] = name, at - now end
end
if not verified then
  for i = 1, #check.reserved, 2 do refuse(check.reserved[i], now + check.reserved[i + 1]) end
end
if wrong >= max_attempts then refuse('attempts', wrong_until) end
refuse('cooldown', resend_at)
refuse('number', free_at(times))
if #exceeded > 0 then return {'refused', unpack(exceeded)} end
if check.suspicious > 0 then return {'challenge'} end

-- A pending verification continues under its id, unless so little of its lifetime is left that the
-- code would expire before another could be requested.
local continues = id and v[2] == purpose and v[3] == 'pending' and now < expires
  and created_at + life - now >= math.min(interval, ttl)
if continues then
  -- For a release.
  redis.call('HSET', KEYS[1], 'before', v[5] .. ':' .. v[11] .. ':' .. v[12])
  sms_number = sms_number + 1
else
  id, created_at, sms_number = candidate, now, 1
  -- Remains of the previous verification, or of its wrong codes.
  if v[10] or v[9] then redis.call('DEL', KEYS[1]) end
end
expires = math.min(now + ttl, created_at + life)
resend_at = now + interval
local nth = text(sms_number)
redis.call('HSET', KEYS[1],
  'id', id, 'purpose', purpose, 'to', to, 'status', 'pending', 'delivery', 'queued',
  'began', text(created_at), 'expires', text(expires), 'next', text(resend_at), 'send', nth,
  'shown', nth, 'wrong', text(wrong), 'wrong_until', text(wrong_until), 'candidate', candidate,
  'guard', guarded_as)
redis.call('PEXPIREAT', KEYS[1], text(math.max(expires, resend_at, wrong_until)))

local limits_free_at = 0
if windows > 0 then
  local keep, longest = math.max(unpack(max_of)), math.max(unpack(period_of))
  table.insert(times, 1, now)
  local kept = table.concat(times, ' ', 1, math.min(#times, keep))
  redis.call('SET', KEYS[2], kept, 'PX', text(longest))
  limits_free_at = free_at(times)
end
-- For later reads of the verification, until a window has room again; also if the windows were
-- configured otherwise before.
if limits_free_at > resend_at or (continues and tonumber(v[13] or 0) > limits_free_at) then
  redis.call('HSET', KEYS[1], 'quota', text(limits_free_at))
end
commit(4, #KEYS, check.values, micros)
return {'admitted', id, sms_number, now, expires, resend_at, limits_free_at, wrong, check.observed,
  check.alarm, verified and 1 or 0}
