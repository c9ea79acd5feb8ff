-- Checks a typed code: counts the attempt first, then uses the result, once.
-- KEYS     the number's record, the end of its time as verified before (ms), the limits of wrong
--          codes
-- ARGV     id, '1' if the code is right, identifier of this request, maximum of wrong codes, time
--          for which they count (ms), time for which the number counts as verified before (ms, 0 if
--          that is not used), then the values of the limits
-- Returns  {'approved', creation of the verification, subjects of the conversion guard}
--          | {'wrong', attempts left, time for which the number is locked if none is left (ms)}
--          | {'refused', 'attempts' or the index of a limit, its wait, ...} | {'gone'}
local micros = clock()
local now = math.floor(micros / 1000)
local right, request, max_attempts = ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local window, remember = tonumber(ARGV[5]), tonumber(ARGV[6])

local v = redis.call('HMGET', KEYS[1], 'id', 'status', 'expires', 'next', 'wrong', 'wrong_until',
  'checked', 'began', 'guard')
local id, status, expires, resend_at = v[1], v[2], tonumber(v[3]), tonumber(v[4])
if id ~= ARGV[1] or now >= expires then return {'gone'} end
local wrong, wrong_until = tonumber(v[5]), tonumber(v[6])
if now >= wrong_until then wrong, wrong_until = 0, 0 end

-- The same request again, because the connection broke before its reply arrived.
local again = v[7] == request
if status == 'approved' then
  if again then return {'approved', 0, ''} end
  return {'gone'}
end
local function wrong_code()
  return {'wrong', max_attempts - wrong, wrong >= max_attempts and wrong_until - now or 0}
end
if again then return wrong_code() end

local stored = #KEYS > 2 and redis.call('MGET', unpack(KEYS, 3)) or {}
local check = evaluate(3, #KEYS, 7, stored, 1, micros)
local exceeded = check.exceeded
if wrong >= max_attempts then
  exceeded[#exceeded + 1], exceeded[#exceeded + 2] = 'attempts', wrong_until - now
end
if #exceeded > 0 then return {'refused', unpack(exceeded)} end

wrong = wrong + 1
if wrong == 1 then wrong_until = now + window end
if right then
  redis.call('HSET', KEYS[1], 'status', 'approved', 'wrong', 0, 'wrong_until', 0,
    'checked', request)
  if remember > 0 then redis.call('SET', KEYS[2], now + remember, 'PX', remember) end
  return {'approved', tonumber(v[8]), v[9] or ''}
end
redis.call('HSET', KEYS[1], 'wrong', wrong, 'wrong_until', wrong_until, 'checked', request)
redis.call('PEXPIREAT', KEYS[1], math.max(expires, resend_at, wrong_until))
commit(3, #KEYS, check.values, micros)
return wrong_code()
