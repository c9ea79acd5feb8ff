-- Writes a plain value that expires: the text of a picture, and keys that an older site reads.
-- KEYS     the key
-- ARGV     the value, its lifetime (ms), the time if the clock is virtual
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
