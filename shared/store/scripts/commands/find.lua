-- Reads a verification.
-- KEYS     the number's record
-- ARGV     id, or '' for the latest verification
-- Returns  {'found', now, to, status, delivery, expires, end of the cooldown, time at which the
--          windows have room, wrong codes, time until which they count, id, scope, creation, number
--          of the latest SMS, times of the number's latest SMS, ...} | {'gone'}
local now = math.floor(clock() / 1000)
local record = unpacked(redis.call('GET', KEYS[1]))
local another = record and ARGV[1] ~= '' and record[ID] ~= ARGV[1]
if not record or another or now >= record[EXPIRES] then return {'gone'} end
local wrong, wrong_until = wrong_codes(record, now)
return {'found', now, record[TO], record[STATUS], record[DELIVERY], record[EXPIRES], record[NEXT],
  record[ROOM_AT], wrong, wrong_until, record[ID], record[SCOPE], record[BEGAN], record[SEND],
  unpack(record[TIMES], 1, record[SEND])}
