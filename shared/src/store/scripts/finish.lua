-- After a call to a gateway: what came of it.
-- KEYS[1]  the number's entry
-- ARGV     id, number of the SMS, delivery state: sent | retrying | failed, name of the worker
local mark, state, worker = 'sms:' .. ARGV[2], ARGV[3], ARGV[4]
local v = redis.call('HMGET', KEYS[1], 'id', 'shown', 'delivery', mark)
if v[1] ~= ARGV[1] then return 0 end
if state == 'sent' then
  redis.call('HSET', KEYS[1], mark, 'sent')
elseif v[4] and string.match(v[4], '^(%d+):%d+$') == worker then
  redis.call('HDEL', KEYS[1], mark)
else
  -- The lease ran out: what the next worker does, or has done, counts.
  return 0
end
-- The state that callers see is that of the latest SMS, and a receipt may have overtaken this call.
if v[2] == ARGV[2] and v[3] ~= 'delivered' then
  redis.call('HSET', KEYS[1], 'delivery', state)
end
return 1
