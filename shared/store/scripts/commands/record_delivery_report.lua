-- A gateway tells what became of a message.
-- KEYS     the number's record
-- ARGV     the gateway's name for the message, delivered | failed
local message_id, result = ARGV[1], ARGV[2]
local v = redis.call('HMGET', KEYS[1], 'id', 'shown', 'delivery', 'message:' .. message_id)
local id, reported_sms, delivery, sms_number = v[1], v[2], v[3], v[4]
if not id then return 0 end
if not sms_number then
  -- It may have overtaken the record of the call that it follows: whoever makes that call finds it.
  local state = redis.call('HGET', KEYS[1], 'sms:' .. reported_sms)
  if state and string.find(state, ':', 1, true) then
    redis.call('HSET', KEYS[1], 'receipt:' .. message_id, result)
  end
  return 0
end
-- Callers see the state of the latest SMS, and what a phone has it has.
if sms_number == reported_sms and delivery ~= 'delivered' then
  redis.call('HSET', KEYS[1], 'delivery', result)
end
return 1
