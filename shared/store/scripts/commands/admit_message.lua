-- Admission of a message whose code somebody else made: decides and writes the result, in one step.
-- KEYS     the message's record, the limits
-- ARGV     candidate id, scope, masked number, subjects of the conversion guard, time for which the
--          message is remembered (ms), then the values of the limits
-- Returns  as admit.lua; or {'known', ... as 'again', 1 if its job is perhaps lost} for a message
--          that another request was admitted with
local micros = clock()
local now = math.floor(micros / 1000)
local candidate = ARGV[1]

local stored = redis.call('MGET', ALL_KEYS)
local record = unpacked(stored[1])
if record and now < record[EXPIRES] then
  local is_this, sms, is_lost = is_admitted(record, candidate), record[SMS], false
  -- One that was perhaps sent is not sent again.
  if is_this or record[DELIVERY] ~= 'failed' or (sms and sms[1] == 'unknown') then
    if not is_this then
      -- Two requests have it now: neither may roll it back. If no worker has seen its job for a
      -- while, that may have been lost with the process that was to queue it.
      is_lost = not sms and now >= record[NEXT]
      if is_lost then record[NEXT] = now + QUEUED_WITHIN end
      if is_lost or record[CANDIDATE] ~= '' then
        record[CANDIDATE] = ''
        replace(packed(record), 'KEEPTTL')
      end
    end
    return {is_this and 'again' or 'known', record[ID], record[SEND], now, record[EXPIRES],
      record[NEXT], record[ROOM_AT], record[WRONG], record[STATUS], record[DELIVERY],
      record[WRONG_UNTIL], is_lost and 1 or 0}
  end
end

local exceeded, observed, suspicious, alarm, calm = {}, 0, 0, 0, DEFERS
local function refuse(name, wait)
  exceeded[#exceeded + 1], exceeded[#exceeded + 2] = name, wait
end
local reserve = refuse
EVALUATE_LIMITS()
if #exceeded > 0 then return {'refused', unpack(exceeded)} end
if suspicious > 0 then return {'challenge'} end

-- The fields of record.lua from ID to UNTIL. No code is checked here: all attempts are used up.
local ends, queued = now + ARGV[5], now + QUEUED_WITHIN
local value = cmsgpack.pack(candidate, ARGV[2], ARGV[3], 'pending', 'queued', now, ends, queued,
  now, 1, 1, MAX_ATTEMPTS, ends, true, ARGV[4], {}, ends)
redis.call('SET', KEYS[1], value, 'PX', ARGV[5])
COMMIT_LIMITS()
local flags = (observed > 0 and 1 or 0) + (alarm > 0 and 2 or 0) + (calm and 8 or 0)
return {'admitted', '', 1, now, ends, queued, now, 0, flags}
