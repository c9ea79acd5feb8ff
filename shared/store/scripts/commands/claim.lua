-- Claims an idempotency key for a call.
-- KEYS     the key
-- ARGV     the request's fingerprint, the call's name, how long it may be at work (ms)
-- Returns  {'first'} | {'at work'} | {'other'} | {'answered', the answer}
local v = redis.call('HMGET', KEYS[1], 'fingerprint', 'call', 'answer')
local fingerprint, call, answer = v[1], v[2], v[3]
if not fingerprint then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'call', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'first'}
end
if fingerprint ~= ARGV[1] then return {'other'} end
if answer then return {'answered', answer} end
-- The same call again, because the connection broke before its answer arrived.
if call == ARGV[2] then return {'first'} end
return {'at work'}
