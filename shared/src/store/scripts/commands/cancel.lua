-- Ends a verification before its time. Its wrong codes and its cooldown stay.
-- KEYS     the number's entry
-- ARGV     id
-- Returns  {'cancelled'} | {'gone'}
local now = math.floor(clock() / 1000)
local v = redis.call('HMGET', KEYS[1], 'id', 'status', 'expires', 'cancelled')
if v[1] ~= ARGV[1] then return {'gone'} end
-- Also the same call again, because the connection broke before its answer arrived.
if v[4] then return {'cancelled'} end
if v[2] ~= 'pending' or now >= tonumber(v[3]) then return {'gone'} end
redis.call('HSET', KEYS[1], 'expires', now, 'cancelled', 1)
return {'cancelled'}
