-- Keeps a value for a while: what a picture shows, and what an older site reads.
-- KEYS     where
-- ARGV     the value, for how long (ms), the time if the clock is virtual
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
