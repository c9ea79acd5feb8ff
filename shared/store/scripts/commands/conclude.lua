-- Ends a pending verification without a code. Its wrong codes and its cooldown stay.
-- KEYS     the number's record
-- ARGV     id, '1' if it is approved by its caller, '0' if it is cancelled
-- Returns  {'done'} | {'gone'}
local now = math.floor(clock() / 1000)
local record = unpacked(redis.call('GET', KEYS[1]))
if not record or record[ID] ~= ARGV[1] then return {'gone'} end
-- Also the same call again, because the connection broke before its reply arrived.
if record[CONCLUDED] == ARGV[2] then return {'done'} end
if record[STATUS] ~= 'pending' or now >= record[EXPIRES] then return {'gone'} end
if ARGV[2] == '1' then record[STATUS] = 'approved' else record[EXPIRES] = now end
record[CONCLUDED] = ARGV[2]
replace(packed(record), 'KEEPTTL')
return {'done'}
