-- Reports the health of an account at a gateway, as a call showed it.
-- KEYS     the account's record
-- ARGV     up | down | unknown, failures in a row that open the circuit, time for which it stays
--          open (ms)
local health, max_failures, open = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if health == 'up' then
  redis.call('HDEL', KEYS[1], 'failures', 'open_until', 'trial_until')
  return 0
end
if health == 'unknown' then return redis.call('HDEL', KEYS[1], 'trial_until') end
local now = clock() / 1000
-- First what needs no memory: then Redis takes the rest also where it is full.
redis.call('HDEL', KEYS[1], 'trial_until')
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if failures >= max_failures then
  redis.call('HSET', KEYS[1], 'open_until', string.format('%.0f', now + open))
end
local next_slot = tonumber(redis.call('HGET', KEYS[1], 'next') or 0)
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(next_slot - now, open)) + ACCOUNT_KEPT)
return failures
