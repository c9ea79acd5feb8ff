-- Records the outcome of a call to a gateway.
-- KEYS     the number's record
-- ARGV     id, number of the SMS, outcome: sent | retrying | queued | failed | unknown, identifier
--          of the worker, the gateway's message ID (empty: none)
local sms_number, outcome, message_id = tonumber(ARGV[2]), ARGV[3], ARGV[5]
local record = unpacked(redis.call('GET', KEYS[1]))
if not record or record[ID] ~= ARGV[1] then return 0 end
local states = record[SMS] or {}
local holder, flag = string.match(states[sms_number] or '', '^(%d+):%d+(.*)$')
-- If the lease expired, the next worker's outcome counts, but 'sent' is always recorded.
if outcome ~= 'sent' and holder ~= ARGV[4] then return 0 end

local result = outcome
if outcome == 'sent' then
  states[sms_number] = 'sent'
  if message_id ~= '' then
    record[MESSAGES] = record[MESSAGES] or {}
    record[MESSAGES][message_id] = sms_number
    result = record[REPORTS] and record[REPORTS][message_id] or result
  end
elseif outcome == 'unknown' or flag ~= '' then
  states[sms_number] = 'unknown'
else
  states[sms_number] = nil
end
record[SMS] = states
if outcome == 'unknown' then result = 'failed' end
-- Callers see the state of the latest SMS; a delivery report may have arrived before this outcome.
if record[SHOWN] == sms_number and record[DELIVERY] ~= 'delivered' then
  record[DELIVERY] = result
end
replace(packed(record), 'KEEPTTL')
return 1
