-- Keeps the answer of the call that claimed an idempotency key, or gives the key back.
-- KEYS     the key
-- ARGV     the call's name, its answer or '', how long that is kept (ms)
local call, answer = ARGV[1], ARGV[2]
if redis.call('HGET', KEYS[1], 'call') ~= call then return 0 end
if answer == '' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'answer', answer)
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
