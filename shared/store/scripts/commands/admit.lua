-- Admission: decides on a request for a code and writes the result, in one step.
-- KEYS     the number's record, the end of its time as verified before (ms) if there are budgets,
--          the limits
-- ARGV     candidate id, scope, masked number, subjects of the conversion guard, then the values
--          of the limits
-- Returns  {'admitted', id or '' for the candidate's, number of the SMS, now, expires, end of the
--          cooldown, time at which the windows have room, wrong codes, flags}; the flags are a sum:
--          1 if a limit that only observes is exceeded or suspicious, 2 if a budget reaches its
--          alarm threshold, 4 if the number was verified before, 8 if the guard leaves it to the
--          caller to count the SMS
--          | {'again', ... as before up to wrong codes, status, delivery, expiry of wrong codes} if
--          the same request was admitted before
--          | {'refused', 'attempts', 'cooldown', 'number' or the index of a limit, its wait, ...}
--          | {'challenge'} if a challenge must be solved first, and nothing else is in the way
local micros = clock()
local now = math.floor(micros / 1000)
local candidate, scope = ARGV[1], ARGV[2]

local stored = redis.call('MGET', ALL_KEYS)
local record, wrong, wrong_until, times = unpacked(stored[1]), 0, 0, nil
if record then
  wrong, wrong_until = wrong_codes(record, now)
  times = record[TIMES]
  -- The same request again, because the connection broke before its reply arrived.
  if is_admitted(record, candidate) then
    return {'again', record[ID], record[SEND], now, record[EXPIRES], record[NEXT], record[ROOM_AT],
      wrong, record[STATUS], record[DELIVERY], wrong_until}
  end
end
times = times or {}

-- Time at which the windows have room for one more.
local function room_at()
  local at = 0
  EVALUATE_WINDOWS()
  return at
end

local exceeded, observed, suspicious, alarm, calm = {}, 0, 0, 0, DEFERS
local verified = VERIFIED and now < tonumber(stored[2] or 0)
local function refuse(name, wait)
  exceeded[#exceeded + 1], exceeded[#exceeded + 2] = name, wait
end
local function reserve(limit, wait)
  if not verified then refuse(limit, wait) end
end
EVALUATE_LIMITS()
if wrong >= MAX_ATTEMPTS then refuse('attempts', wrong_until - now) end
if record then
  if now < record[NEXT] then refuse('cooldown', record[NEXT] - now) end
  local free_at = room_at()
  if now < free_at then refuse('number', free_at - now) end
end
if #exceeded > 0 then return {'refused', unpack(exceeded)} end
if suspicious > 0 then return {'challenge'} end

-- A pending verification continues under its id, unless so little of its lifetime is left that the
-- code would expire before another could be requested.
local continues = record and record[SCOPE] == scope and record[STATUS] == 'pending'
  and now < record[EXPIRES] and record[BEGAN] + MAX_LIFE - now >= math.min(RESEND_INTERVAL, TTL)
local began = continues and record[BEGAN] or now
local expires, resend_at = math.min(now + TTL, began + MAX_LIFE), now + RESEND_INTERVAL
local ends, free_at = math.max(expires, resend_at, wrong_until), 0
-- Messages have windows where verifications have none.
if MOST == 0 and #times > 0 then ends = math.max(ends, record[UNTIL]) end
if MOST > 0 then
  table.insert(times, 1, now)
  for i = #times, MOST + 1, -1 do times[i] = nil end
  free_at, ends = room_at(), math.max(ends, now + LONGEST)
end
local id, sms_number, value = '', 1
if continues then
  id, sms_number = record[ID], record[SEND] + 1
  record[BEFORE] = {record[EXPIRES], record[SHOWN], record[DELIVERY]}
  record[DELIVERY], record[EXPIRES], record[NEXT], record[ROOM_AT] =
    'queued', expires, resend_at, free_at
  record[SEND], record[SHOWN], record[WRONG], record[WRONG_UNTIL] =
    sms_number, sms_number, wrong, wrong_until
  record[CANDIDATE], record[GUARD], record[UNTIL] = candidate, ARGV[4], ends
  value = packed(record)
else
  -- The fields of record.lua from ID to UNTIL.
  value = cmsgpack.pack(candidate, scope, ARGV[3], 'pending', 'queued', now, expires, resend_at,
    free_at, 1, 1, wrong, wrong_until, true, ARGV[4], times, ends)
end
redis.call('SET', KEYS[1], value, 'PX', text(ends - now))
COMMIT_LIMITS()
local flags = (observed > 0 and 1 or 0) + (alarm > 0 and 2 or 0) + (verified and 4 or 0)
  + (calm and 8 or 0)
return {'admitted', id, sms_number, now, expires, resend_at, free_at, wrong, flags}
