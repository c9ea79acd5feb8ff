-- Reads a verification.
-- KEYS     the number's record
-- ARGV     id
-- Returns  {'found', now, to, status, delivery, expires, end of the cooldown, time at which the
--          windows have room, wrong codes, time until which they count} | {'gone'}
local now = math.floor(clock() / 1000)
local v = redis.call('HMGET', KEYS[1], 'id', 'to', 'status', 'delivery', 'expires', 'next', 'wrong',
  'wrong_until', 'quota')
local expires, resend_at, limits_free_at = tonumber(v[5]), tonumber(v[6]), tonumber(v[9] or 0)
if v[1] ~= ARGV[1] or now >= expires then return {'gone'} end
local wrong, wrong_until = tonumber(v[7]), tonumber(v[8])
if now >= wrong_until then wrong, wrong_until = 0, 0 end
return {'found', now, v[2], v[3], v[4], expires, resend_at, limits_free_at, wrong, wrong_until}
