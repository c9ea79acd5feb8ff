-- Cancels a pending verification. Its wrong codes and its cooldown stay.
-- KEYS     the number's record
-- ARGV     id
-- Returns  {'cancelled'} | {'gone'}
local now = math.floor(clock() / 1000)
local record = unpacked(redis.call('GET', KEYS[1]))
if not record or record[ID] ~= ARGV[1] then return {'gone'} end
-- Also the same call again, because the connection broke before its reply arrived.
if record[CANCELLED] then return {'cancelled'} end
if record[STATUS] ~= 'pending' or now >= record[EXPIRES] then return {'gone'} end
record[EXPIRES], record[CANCELLED] = now, true
replace(packed(record), 'KEEPTTL')
return {'cancelled'}
