-- Counts one against a single limit, which is on another server of a cluster than the number.
-- KEYS     the limit
-- ARGV     'consume' or 'refund', then its values
-- Returns  {'done', 1 if it only observes and is exceeded or suspicious, the time (ms) until it has
--          room for numbers that were not verified before, or 0 if it has, 1 if it is a budget that
--          reaches its alarm threshold, the time (ms) if the guard leaves it to the caller to count
--          the SMS}
--          | {'refused', 0, wait} | {'challenge'}
local micros = clock()
if ARGV[1] == 'refund' then
  REFUND_LIMITS()
  return {'done', 0, 0, 0, 0}
end
local stored = redis.call('MGET', ALL_KEYS)
local observed, suspicious, alarm, calm, full_for, reserved_for = 0, 0, 0, DEFERS, 0, 0
local function refuse(_, wait) full_for = wait end
local function reserve(_, wait) reserved_for = wait end
EVALUATE_LIMITS()
if full_for > 0 then return {'refused', 0, full_for} end
if suspicious > 0 then return {'challenge'} end
COMMIT_LIMITS()
return {'done', observed, reserved_for, alarm, calm and math.floor(micros / 1000) or 0}
