-- Ends a pending verification without a code. Its wrong codes and its cooldown stay.
-- KEYS     the number's record
-- ARGV     id, '0' if its caller cancels it, '1' if he approves it, '2' if he was brought its code
-- Returns  {'done', creation of the verification, subjects of the conversion guard that learn it}
--          | {'gone'}
local now = math.floor(clock() / 1000)
local record = unpacked(redis.call('GET', KEYS[1]))
if not record or record[ID] ~= ARGV[1] then return {'gone'} end
-- Also the same call again, because the connection broke before its reply arrived.
if record[CONCLUDED] == ARGV[2] then return {'done', 0, ''} end
if record[STATUS] ~= 'pending' or now >= record[EXPIRES] then return {'gone'} end
if ARGV[2] == '0' then record[EXPIRES] = now else record[STATUS] = 'approved' end
record[CONCLUDED] = ARGV[2]
replace(packed(record), 'KEEPTTL')
return {'done', record[BEGAN], ARGV[2] == '2' and record[GUARD] or ''}
