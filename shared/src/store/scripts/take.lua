-- A limit by itself, where it stands on another server of a cluster than the number.
-- KEYS     the limit
-- ARGV     'take' or 'give back', then its two values
-- Returns  {'done'} | {'refused', wait, 0}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if ARGV[1] == 'give back' then
  give_back(1, 1, 2, now)
  return {'done'}
end
local full, wait, counted = look(1, 1, 2, {redis.call('GET', KEYS[1])}, 1, now)
if #full > 0 then return {'refused', wait, 0} end
count(1, 1, counted, now)
return {'done'}
