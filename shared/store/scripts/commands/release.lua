-- Rolls back an admission whose job could not be queued, as far as is known.
-- KEYS     the number's record, the times of its SMS, the end of its time as verified before (ms),
--          the limits
-- ARGV     the candidate that was admitted, number of the number's windows, then the values of the
--          limits
-- Returns  {'released', 1 if this call did it}
--          | {'begun'} if a worker has the job already: its SMS is being sent, or was sent
local v = redis.call('HMGET', KEYS[1], 'candidate', 'send', 'wrong', 'wrong_until', 'before',
  'cancelled', 'expires')
local candidate, sms_number, wrong, wrong_until = v[1], v[2], v[3], v[4]
if candidate ~= ARGV[1] then return {'released', 0} end
if redis.call('HEXISTS', KEYS[1], 'sms:' .. sms_number) == 1 then return {'begun'} end
if tonumber(sms_number) > 1 then
  -- The verification was pending before: restore it, without this SMS and its cooldown.
  local expires, shown, delivery = string.match(v[5], '^(%d+):(%d+):(%a+)$')
  -- If it was cancelled meanwhile, it stays so.
  if v[6] then expires = v[7] end
  redis.call('HSET', KEYS[1], 'expires', expires, 'shown', shown, 'delivery', delivery,
    'next', 0, 'quota', 0, 'candidate', '', 'sms:' .. sms_number, 'released')
elseif tonumber(wrong) > 0 then
  -- It began with this request: only the earlier wrong codes remain.
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'wrong', wrong, 'wrong_until', wrong_until)
  redis.call('PEXPIREAT', KEYS[1], wrong_until)
else
  redis.call('DEL', KEYS[1])
end

-- Its SMS was the latest.
local times = tonumber(ARGV[2]) > 0 and redis.call('GET', KEYS[2])
if times then
  local earlier = string.match(times, ' (.*)')
  if earlier then
    redis.call('SET', KEYS[2], earlier, 'KEEPTTL')
  else
    redis.call('DEL', KEYS[2])
  end
end
refund(4, #KEYS, 3, clock())
return {'released', 1}
