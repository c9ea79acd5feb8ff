-- A limit by itself, where it stands on another server of a cluster than the number.
-- KEYS     the limit
-- ARGV     'take' or 'give back', then its values
-- Returns  {'done', 1 if it is observed and has no room} | {'refused', wait, 0}
local now = clock()
if ARGV[1] == 'give back' then
  give_back(1, 1, 2, now)
  return {'done', 0}
end
local full, wait, counted, observed = look(1, 1, 2, {redis.call('GET', KEYS[1])}, 1, now)
if #full > 0 then return {'refused', wait, 0} end
count(1, 1, counted, now)
return {'done', observed}
