-- Keeps the answer of the call that claimed an idempotency key, or gives the key back.
-- KEYS     the key
-- ARGV     the call's name, its answer or '', how long that is kept (ms)
if redis.call('HGET', KEYS[1], 'call') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
