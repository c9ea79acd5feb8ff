-- Health probe: calls each command that the other scripts use. The first one allocates memory,
-- because Redis checks its memory limit only before the first write of a script; and it works
-- whatever another probe has left under the key.
-- KEYS     a key of probes, which expires after a second
local key, soon = KEYS[1], string.format('%.0f', clock() / 1000 + 1000)
redis.call('SET', key, 1, 'PX', 1000)
redis.call('SET', key, 2, 'KEEPTTL')
redis.call('GET', key)
redis.call('MGET', key)
redis.call('PEXPIREAT', key, soon)
redis.call('DEL', key)
redis.call('HSET', key, 'probe', 1)
redis.call('PEXPIRE', key, 1000)
redis.call('HINCRBY', key, 'probe', 1)
redis.call('HGET', key, 'probe')
redis.call('HMGET', key, 'probe')
redis.call('HEXISTS', key, 'probe')
redis.call('HDEL', key, 'probe')
