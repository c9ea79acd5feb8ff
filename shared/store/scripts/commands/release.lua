-- Takes an admission back: its job could not be queued, or perhaps it was.
-- KEYS     the number's record, the times of its SMS, until when it counts as verified before (ms),
--          the limits
-- ARGV     the candidate that was admitted, how many windows the number has, then the values of the
--          limits
-- Returns  {'released', 1 if this call did it}
--          | {'begun'} when a worker has the job already: its SMS is on its way
local v = redis.call('HMGET', KEYS[1], 'candidate', 'send', 'wrong', 'wrong_until', 'before',
  'cancelled', 'expires')
local candidate, sms_number, wrong, wrong_until = v[1], v[2], v[3], v[4]
if candidate ~= ARGV[1] then return {'released', 0} end
if redis.call('HEXISTS', KEYS[1], 'sms:' .. sms_number) == 1 then return {'begun'} end
if tonumber(sms_number) > 1 then
  -- The verification was pending before: it stays as it was, without this SMS and its cooldown.
  local expires, shown, delivery = string.match(v[5], '^(%d+):(%d+):(%a+)$')
  -- If its caller has ended it meanwhile, it stays so.
  if v[6] then expires = v[7] end
  redis.call('HSET', KEYS[1], 'expires', expires, 'shown', shown, 'delivery', delivery,
    'next', 0, 'quota', 0, 'candidate', '', 'sms:' .. sms_number, 'released')
elseif tonumber(wrong) > 0 then
  -- It began with this request: only what was wrongly guessed before remains.
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
