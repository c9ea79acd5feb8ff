-- A typed code: counted first, then judged, used once.
-- KEYS[1]  the number's entry
-- ARGV     id, '1' if the code is right, name of this request, most wrong codes, how long they count (ms)
-- Returns  {'approved'} | {'wrong', left} | {'locked', wait} | {'gone'}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local right, request, most, window = ARGV[2] == '1', ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local v = redis.call('HMGET', KEYS[1], 'id', 'status', 'expires', 'next', 'wrong', 'wrong_until', 'checked')
if v[1] ~= ARGV[1] or now >= tonumber(v[3]) then return {'gone'} end
local wrong, wrong_until = tonumber(v[5]), tonumber(v[6])
if now >= wrong_until then wrong, wrong_until = 0, 0 end

-- The same request again, because the connection broke before its answer arrived.
local again = v[7] == request
if v[2] == 'approved' then
  if again then return {'approved'} end
  return {'gone'}
end
if again then return {'wrong', most - wrong} end
if wrong >= most then return {'locked', wrong_until - now} end

wrong = wrong + 1
if wrong == 1 then wrong_until = now + window end
if right then
  redis.call('HSET', KEYS[1], 'status', 'approved', 'wrong', 0, 'wrong_until', 0, 'checked', request)
  return {'approved'}
end
redis.call('HSET', KEYS[1], 'wrong', wrong, 'wrong_until', wrong_until, 'checked', request)
redis.call('PEXPIREAT', KEYS[1], math.max(tonumber(v[3]), tonumber(v[4]), wrong_until))
return {'wrong', most - wrong}
