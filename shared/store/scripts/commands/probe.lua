-- Health probe: calls each command that the other scripts use. The first one allocates memory,
-- because Redis checks its memory limit only before the first write of a script; and it works
-- whatever another probe has left under the key.
-- KEYS     a key of probes, which expires after a second
local key, value = KEYS[1], string.format('%.0f', clock())
redis.call('SET', key, value, 'PX', 1000)
redis.call('SET', key, value, 'KEEPTTL')
redis.call('GET', key)
redis.call('MGET', key)
redis.call('DEL', key)
redis.call('HSET', key, 'probe', 1)
redis.call('PEXPIRE', key, 1000)
redis.call('HINCRBY', key, 'probe', 1)
redis.call('HGET', key, 'probe')
redis.call('HMGET', key, 'probe')
redis.call('HDEL', key, 'probe')
