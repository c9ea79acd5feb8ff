-- Acquires the lease on an SMS before a call to a gateway.
-- KEYS     the number's record
-- ARGV     id, number of the SMS, length of the lease (ms), identifier of the worker
-- Returns  {'go', expires in (ms), 1 if an earlier call's outcome is unknown}
--          | {'busy'} | {'sent'} | {'gone'}
local now = math.floor(clock() / 1000)
local sms_number, worker = tonumber(ARGV[2]), ARGV[4]

local record = unpacked(redis.call('GET', KEYS[1]))
if not record or record[ID] ~= ARGV[1] or record[SEND] < sms_number then return {'gone'} end
local state = record[SMS] and record[SMS][sms_number]
if state == 'sent' then return {'sent'} end
if state == 'released' then return {'gone'} end
if record[STATUS] ~= 'pending' or now >= record[EXPIRES] then return {'gone'} end
-- A message that failed is not redriven: it is admitted anew.
if record[DELIVERY] == 'failed' and is_message(record) then return {'gone'} end

-- Any other state is the lease of a worker, 'worker:until', followed by ':unknown' if the outcome
-- of an earlier call is unknown: this remains when another worker takes over the lease or releases
-- it.
local unknown = state == 'unknown'
if state and not unknown then
  local holder, held_until, flag = string.match(state, '^(%d+):(%d+)(.*)$')
  if holder ~= worker and now < tonumber(held_until) then return {'busy'} end
  unknown = holder ~= worker or flag ~= ''
end
local lease = string.format('%s:%d', worker, now + ARGV[3])
record[SMS] = record[SMS] or {}
record[SMS][sms_number] = unknown and lease .. ':unknown' or lease
replace(packed(record), 'KEEPTTL')
return {'go', record[EXPIRES] - now, unknown and 1 or 0}
