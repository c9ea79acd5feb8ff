-- After a call to a gateway: what came of it.
-- KEYS[1]  the number's entry
-- ARGV     id, number of the SMS, delivery state: sent | retrying | failed
local mark, state = 'sms:' .. ARGV[2], ARGV[3]
local v = redis.call('HMGET', KEYS[1], 'id', 'send', 'delivery')
if v[1] ~= ARGV[1] then return 0 end
if state == 'sent' then
  redis.call('HSET', KEYS[1], mark, 'sent')
else
  redis.call('HDEL', KEYS[1], mark)
end
-- The state that callers see is that of the latest SMS, and a receipt may have overtaken this call.
if v[2] == ARGV[2] and v[3] ~= 'delivered' then
  redis.call('HSET', KEYS[1], 'delivery', state)
end
return 1
