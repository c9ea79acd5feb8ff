-- Claims an idempotency key for a call.
-- KEYS     the key
-- ARGV     fingerprint of the request, identifier of the call, time for which it holds the key (ms)
-- Returns  {'first'} | {'at work'} | {'other'} for another request | {'answered', the response}
local v = redis.call('HMGET', KEYS[1], 'fingerprint', 'call', 'answer')
local fingerprint, call, answer = v[1], v[2], v[3]
if not fingerprint then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'call', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'first'}
end
if fingerprint ~= ARGV[1] then return {'other'} end
if answer then return {'answered', answer} end
-- The same call again, because the connection broke before its reply arrived.
if call == ARGV[2] then return {'first'} end
return {'at work'}
