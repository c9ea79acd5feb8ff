-- Stores the response of the call that claimed an idempotency key, or releases the key.
-- KEYS     the key
-- ARGV     identifier of the call, its response or '', time for which that is kept (ms)
local call, answer = ARGV[1], ARGV[2]
if redis.call('HGET', KEYS[1], 'call') ~= call then return 0 end
if answer == '' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'answer', answer)
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
