-- A limit by itself, where it stands on another server of a cluster than the number.
-- KEYS     the limit
-- ARGV     'take' or 'give back', then its values
-- Returns  {'done', 1 if it is observed and not as it should be, the time (ms) until it has room for numbers that were not
--          verified before, or 0 if it has, 1 if it is a budget that is spent to the share at which that is told}
--          | {'refused', 0, wait} | {'challenge'}
local now = clock()
if ARGV[1] == 'give back' then
  give_back(1, 1, 2, now)
  return {'done', 0, 0, 0}
end
local found = look(1, 1, 2, {redis.call('GET', KEYS[1])}, 1, now)
if #found.full > 0 then return {'refused', unpack(found.full)} end
if found.suspicious > 0 then return {'challenge'} end
count(1, 1, found.counted, now)
return {'done', found.observed, found.reserved[2] or 0, found.alarm}
