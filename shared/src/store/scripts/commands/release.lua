-- Takes an admission back: its job could not be queued, or perhaps it was.
-- KEYS     the number's entry, the times of its SMS, until when it counts as verified before (ms), the limits
-- ARGV     the candidate that was admitted, how many windows the number has, then the values of the limits
-- Returns  {'released', 1 if this call did it} | {'begun'} when a worker has the job already: its SMS is on its way
local v = redis.call('HMGET', KEYS[1], 'candidate', 'send', 'wrong', 'wrong_until', 'before', 'cancelled', 'expires')
if v[1] ~= ARGV[1] then return {'released', 0} end
if redis.call('HEXISTS', KEYS[1], 'sms:' .. v[2]) == 1 then return {'begun'} end
if tonumber(v[2]) > 1 then
  -- The verification was pending before: it stays as it was, without this SMS and without its cooldown.
  local expires, shown, delivery = string.match(v[5], '^(%d+):(%d+):(%a+)$')
  -- What its caller has ended meanwhile stays so.
  if v[6] then expires = v[7] end
  redis.call('HSET', KEYS[1], 'expires', expires, 'shown', shown, 'delivery', delivery, 'next', 0, 'quota', 0, 'candidate', '',
    'sms:' .. v[2], 'released')
elseif tonumber(v[3]) > 0 then
  -- It began with this request: only what was wrongly guessed before remains.
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'wrong', v[3], 'wrong_until', v[4])
  redis.call('PEXPIREAT', KEYS[1], v[4])
else
  redis.call('DEL', KEYS[1])
end

-- Its SMS was the latest.
local times = tonumber(ARGV[2]) > 0 and redis.call('GET', KEYS[2])
if times then
  local earlier = string.match(times, ' (.*)')
  if earlier then redis.call('SET', KEYS[2], earlier, 'KEEPTTL') else redis.call('DEL', KEYS[2]) end
end
give_back(4, #KEYS, 3, clock())
return {'released', 1}
