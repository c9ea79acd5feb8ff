-- Admission of a message whose code somebody else made: decides and writes the result, in one step.
-- KEYS     the message's record, the limits
-- ARGV     candidate id, scope, masked number, subjects of the conversion guard, then the values
--          of the limits
-- Returns  as admit.lua. 'again' has the ID of the message that was admitted before.
local micros = clock()
local now = math.floor(micros / 1000)
local candidate = ARGV[1]

local stored = redis.call('MGET', ALL_KEYS)
local record = unpacked(stored[1])
if record and now < record[EXPIRES] then
  local is_this = is_admitted(record, candidate)
  if is_this or record[DELIVERY] ~= 'failed' then
    -- Two requests have it now: neither may roll it back.
    if not is_this and record[CANDIDATE] ~= '' then
      record[CANDIDATE] = ''
      replace(packed(record), 'KEEPTTL')
    end
    return {'again', record[ID], record[SEND], now, record[EXPIRES], record[NEXT], record[ROOM_AT],
      record[WRONG], record[STATUS], record[DELIVERY], record[WRONG_UNTIL]}
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
local ends = now + MAX_LIFE
local value = cmsgpack.pack(candidate, ARGV[2], ARGV[3], 'pending', 'queued', now, ends, now, now,
  1, 1, MAX_ATTEMPTS, ends, true, ARGV[4], {}, ends)
redis.call('SET', KEYS[1], value, 'PX', text(MAX_LIFE))
COMMIT_LIMITS()
local flags = (observed > 0 and 1 or 0) + (alarm > 0 and 2 or 0) + (calm and 8 or 0)
return {'admitted', '', 1, now, ends, now, now, 0, flags}
