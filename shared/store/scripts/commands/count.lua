-- Counts SMS that the conversion guard left to the caller to count.
-- KEYS     the guard's state of a prefix or country
-- ARGV     1 if it is a country, threshold, miss weight, hit weight, time slot, number of SMS
local micros = clock()
local state = guard(redis.call('GET', KEYS[1]), micros)
set_test(state, ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4])
add(state, tonumber(ARGV[5]), tonumber(ARGV[6]), 0)
local value, kept = packed_guard(state)
redis.call('SET', KEYS[1], value, 'EX', kept)
