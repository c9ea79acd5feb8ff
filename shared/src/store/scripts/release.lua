-- Takes an admission back: its job could not be queued.
-- KEYS[1]  the number's entry
-- ARGV     the candidate that was admitted
local v = redis.call('HMGET', KEYS[1], 'candidate', 'send', 'wrong', 'wrong_until')
if v[1] ~= ARGV[1] then return 0 end
if tonumber(v[2]) > 1 then
  -- The verification was pending before: it stays, without this SMS and without its cooldown.
  redis.call('HSET', KEYS[1], 'send', v[2] - 1, 'next', 0, 'candidate', '')
elseif tonumber(v[3]) > 0 then
  -- It began with this request: only what was wrongly guessed before remains.
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'wrong', v[3], 'wrong_until', v[4])
  redis.call('PEXPIREAT', KEYS[1], v[4])
else
  redis.call('DEL', KEYS[1])
end
return 1
