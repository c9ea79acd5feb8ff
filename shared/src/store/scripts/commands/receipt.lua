-- A gateway tells what became of a message.
-- KEYS     the number's entry
-- ARGV     the gateway's name for the message, delivered | failed
local v = redis.call('HMGET', KEYS[1], 'id', 'shown', 'delivery', 'message:' .. ARGV[1])
if not v[1] then return 0 end
if not v[4] then
  -- It may have overtaken the record of the call that it follows: whoever makes that call finds it.
  local mark = redis.call('HGET', KEYS[1], 'sms:' .. v[2])
  if mark and string.find(mark, ':', 1, true) then redis.call('HSET', KEYS[1], 'receipt:' .. ARGV[1], ARGV[2]) end
  return 0
end
-- Callers see the state of the latest SMS, and what a phone has it has.
if v[4] == v[2] and v[3] ~= 'delivered' then redis.call('HSET', KEYS[1], 'delivery', ARGV[2]) end
return 1
