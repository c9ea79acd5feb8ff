-- Cancels a pending verification. Its wrong codes and its cooldown stay.
-- KEYS     the number's record
-- ARGV     id
-- Returns  {'cancelled'} | {'gone'}
local now = math.floor(clock() / 1000)
local v = redis.call('HMGET', KEYS[1], 'id', 'status', 'expires', 'cancelled')
local id, status, expires, cancelled = v[1], v[2], v[3], v[4]
if id ~= ARGV[1] then return {'gone'} end
-- Also the same call again, because the connection broke before its reply arrived.
if cancelled then return {'cancelled'} end
if status ~= 'pending' or now >= tonumber(expires) then return {'gone'} end
redis.call('HSET', KEYS[1], 'expires', now, 'cancelled', 1)
return {'cancelled'}
