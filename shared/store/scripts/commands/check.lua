-- Checks a typed code: counts the attempt first, then uses the result, once.
-- KEYS     the number's record, the end of its time as verified before (ms) if that is used, the
--          limits of wrong codes
-- ARGV     id, '1' if the code is right, identifier of this request, then the values of the limits
-- Returns  {'approved', creation of the verification, subjects of the conversion guard}
--          | {'wrong', attempts left, time for which the number is locked if none is left (ms)}
--          | {'refused', 'attempts' or the index of a limit, its wait, ...} | {'gone'}
local micros = clock()
local now = math.floor(micros / 1000)
local request = ARGV[3]

local stored = redis.call('MGET', ALL_KEYS)
local record = unpacked(stored[1])
if not record or record[ID] ~= ARGV[1] or now >= record[EXPIRES] then return {'gone'} end
local wrong, wrong_until = wrong_codes(record, now)

-- The same request again, because the connection broke before its reply arrived.
local again = record[CHECKED] == request
if record[STATUS] == 'approved' then
  if again then return {'approved', 0, ''} end
  return {'gone'}
end
local function wrong_code()
  return {'wrong', MAX_ATTEMPTS - wrong, wrong >= MAX_ATTEMPTS and wrong_until - now or 0}
end
if again then return wrong_code() end

local exceeded, observed, suspicious, alarm, calm = {}, 0, 0, 0, DEFERS
local function refuse(name, wait)
  exceeded[#exceeded + 1], exceeded[#exceeded + 2] = name, wait
end
local function reserve() end
EVALUATE_LIMITS()
if wrong >= MAX_ATTEMPTS then refuse('attempts', wrong_until - now) end
if #exceeded > 0 then return {'refused', unpack(exceeded)} end

record[CHECKED] = request
if ARGV[2] == '1' then
  record[STATUS], record[WRONG], record[WRONG_UNTIL] = 'approved', 0, 0
  replace(packed(record), 'KEEPTTL')
  if VERIFIED then
    redis.call('SET', KEYS[2], text(now + REMEMBER), 'PX', text(REMEMBER))
  end
  return {'approved', record[BEGAN], record[GUARD]}
end
wrong = wrong + 1
if wrong == 1 then wrong_until = now + MAX_LIFE end
record[WRONG], record[WRONG_UNTIL] = wrong, wrong_until
record[UNTIL] = math.max(record[UNTIL], wrong_until)
replace(packed(record), 'PX', text(record[UNTIL] - now))
COMMIT_LIMITS()
return wrong_code()
