-- After a call to a gateway: what has it shown of it?
-- KEYS     the account's entry
-- ARGV     up | down | unknown, failures in a row that open the circuit, how long it stays open (ms)
if ARGV[1] == 'up' then
  redis.call('HDEL', KEYS[1], 'failures', 'open_until', 'trial_until')
  return 0
end
if ARGV[1] == 'unknown' then return redis.call('HDEL', KEYS[1], 'trial_until') end
local now = clock() / 1000
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HDEL', KEYS[1], 'trial_until')
if failures >= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'open_until', string.format('%.0f', now + tonumber(ARGV[3])))
end
local next = tonumber(redis.call('HGET', KEYS[1], 'next') or 0)
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(next - now, tonumber(ARGV[3]))) + 600000)
return failures
