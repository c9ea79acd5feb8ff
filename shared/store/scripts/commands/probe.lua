-- Health probe: calls each command that the other scripts use. The first one allocates memory,
-- because Redis checks its memory limit only before the first write of a script; and it works
-- whatever another probe has left under the key.
-- KEYS     a key of probes, which expires after a second
local value = string.format('%.0f', clock())
redis.call('SET', KEYS[1], value, 'PX', 1000)
redis.call('SET', KEYS[1], value, 'KEEPTTL')
redis.call('GET', KEYS[1])
redis.call('MGET', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'probe', 1)
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('HINCRBY', KEYS[1], 'probe', 1)
redis.call('HGET', KEYS[1], 'probe')
redis.call('HMGET', KEYS[1], 'probe')
redis.call('HDEL', KEYS[1], 'probe')
