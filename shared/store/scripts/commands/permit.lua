-- Permits a call to a gateway if its circuit is closed and the message's rate slot has come.
-- KEYS     the account's record
-- ARGV     messages per second (0: no limit), the message's slot if it has waited for one (ms since
--          1970, 0: none), longest acceptable wait (ms), longest time of a trial (ms)
-- Returns  {'granted', 1 if a success must be reported} | {'open', wait (ms)}
--          | {'wait', wait (ms), slot} | {'full'}
local now = clock() / 1000
local rate, slot, max_wait = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local v = redis.call('HMGET', KEYS[1], 'failures', 'open_until', 'trial_until', 'next')
local failures, open_until = tonumber(v[1] or 0), tonumber(v[2] or 0)
local trial_until = tonumber(v[3] or 0)
if now < open_until then return {'open', math.ceil(open_until - now)} end
-- Half open: one message at a time is a trial, and the others ask again soon.
if now < trial_until then
  return {'open', math.ceil(math.min(trial_until - now, HALF_OPEN_WAIT))}
end

-- A write that needs no memory, before one that does, and that Redis refuses otherwise where it is
-- full. The time has passed.
local function end_trial() redis.call('HDEL', KEYS[1], 'trial_until') end

if rate > 0 then
  if slot == 0 then
    slot = math.max(now, tonumber(v[4] or 0))
    if slot - now >= max_wait then return {'full'} end
    end_trial()
    redis.call('HSET', KEYS[1], 'next', string.format('%.3f', slot + 1000 / rate))
    redis.call('PEXPIRE', KEYS[1], math.ceil(slot - now) + ACCOUNT_KEPT)
  end
  if slot > now then return {'wait', math.ceil(slot - now), math.ceil(slot)} end
end

if open_until > 0 then
  end_trial()
  redis.call('HSET', KEYS[1], 'trial_until', string.format('%.0f', now + tonumber(ARGV[4])))
end
return {'granted', failures > 0 and 1 or 0}
