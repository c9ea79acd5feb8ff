-- Counts one against a single limit, which is on another server of a cluster than the number.
-- KEYS     the limit
-- ARGV     'consume' or 'refund', then its values
-- Returns  {'done', 1 if it only observes and is exceeded or suspicious, the time (ms) until it has
--          room for numbers that were not verified before, or 0 if it has, 1 if it is a budget that
--          reaches its alarm threshold}
--          | {'refused', 0, wait} | {'challenge'}
local now = clock()
if ARGV[1] == 'refund' then
  refund(1, 1, 2, now)
  return {'done', 0, 0, 0}
end
local check = evaluate(1, 1, 2, {redis.call('GET', KEYS[1])}, 1, now)
if #check.exceeded > 0 then return {'refused', unpack(check.exceeded)} end
if check.suspicious > 0 then return {'challenge'} end
commit(1, 1, check.values, now)
return {'done', check.observed, check.reserved[2] or 0, check.alarm}
