-- Keeps what a picture shows.
-- KEYS     the picture
-- ARGV     what it shows, for how long (ms), the time if the clock is virtual
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
