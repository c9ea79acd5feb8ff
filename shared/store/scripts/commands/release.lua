-- Rolls back an admission whose job could not be queued, as far as is known.
-- KEYS     the number's record, the limits
-- ARGV     the candidate that was admitted, then the values of the limits
-- Returns  {'released', 1 if this call did it}
--          | {'begun'} if a worker has the job already: its SMS is being sent, or was sent
local record = unpacked(redis.call('GET', KEYS[1]))
if record and record[ID] == ARGV[1] and record[CANDIDATE] == '' and is_message(record) then
  -- Others were told of this message: it stays, and has failed unless a worker has its job.
  if record[SMS] then return {'begun'} end
  record[DELIVERY] = 'failed'
  replace(packed(record), 'KEEPTTL')
  return {'released', 0}
end
if not record or not is_admitted(record, ARGV[1]) then return {'released', 0} end
local sms_number, times = record[SEND], record[TIMES]
if record[SMS] and record[SMS][sms_number] then return {'begun'} end
-- Its SMS was the latest.
if MOST > 0 then table.remove(times, 1) end
if sms_number > 1 then
  -- The verification was pending before: restore it, without this SMS and its cooldown. If it was
  -- cancelled meanwhile, it stays so.
  local before = record[BEFORE]
  if not record[CONCLUDED] then record[EXPIRES] = before[1] end
  record[SHOWN], record[DELIVERY], record[NEXT], record[ROOM_AT], record[CANDIDATE] =
    before[2], before[3], 0, 0, ''
  record[SMS] = record[SMS] or {}
  record[SMS][sms_number] = 'released'
  replace(packed(record), 'KEEPTTL')
elseif record[WRONG] > 0 or #times > 0 then
  -- It began with this request: only what was there before remains.
  local value = cmsgpack.pack('', '', '', '', '', 0, 0, 0, 0, 0, 0, record[WRONG],
    record[WRONG_UNTIL], '', '', times, record[UNTIL])
  replace(value, 'KEEPTTL')
else
  redis.call('DEL', KEYS[1])
end
local micros = clock()
REFUND_LIMITS()
return {'released', 1}
