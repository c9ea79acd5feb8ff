-- Records a gateway's delivery report.
-- KEYS     the number's record
-- ARGV     the gateway's message ID, delivered | failed
-- Returns  1 if the message is one of this record
local message_id, result = ARGV[1], ARGV[2]
local record = unpacked(redis.call('GET', KEYS[1]))
if not record or record[ID] == '' then return 0 end
local sms_number = record[MESSAGES] and record[MESSAGES][message_id]
if sms_number then
  -- Callers see the state of the latest SMS, and 'delivered' is final.
  if sms_number ~= record[SHOWN] or record[DELIVERY] == 'delivered' then return 1 end
  record[DELIVERY] = result
else
  -- The report may have arrived before the outcome of the call: record_outcome.lua reads it.
  local state = record[SMS] and record[SMS][record[SHOWN]]
  if not state or not string.find(state, ':', 1, true) then return 0 end
  record[REPORTS] = record[REPORTS] or {}
  record[REPORTS][message_id] = result
  replace(packed(record), 'KEEPTTL')
  return 0
end
replace(packed(record), 'KEEPTTL')
return 1
