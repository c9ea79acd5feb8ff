-- Reads a verification.
-- KEYS[1]  the number's entry
-- ARGV     id
-- Returns  {'found', now, to, status, delivery, expires, next, wrong} | {'gone'}
local now = math.floor(clock() / 1000)
local v = redis.call('HMGET', KEYS[1], 'id', 'to', 'status', 'delivery', 'expires', 'next', 'wrong', 'wrong_until', 'quota')
if v[1] ~= ARGV[1] or now >= tonumber(v[5]) then return {'gone'} end
local wrong = tonumber(v[7])
if now >= tonumber(v[8]) then wrong = 0 end
return {'found', now, v[2], v[3], v[4], tonumber(v[5]), math.max(tonumber(v[6]), tonumber(v[9] or 0)), wrong}
