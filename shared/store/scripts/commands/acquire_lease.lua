-- Before a call to a gateway: may this SMS be sent, and is nobody else at it?
-- KEYS     the number's record
-- ARGV     id, number of the SMS, length of the lease (ms), name of the worker
-- Returns  {'go', expires in (ms), 1 if an earlier call's outcome is unknown}
--          | {'busy'} | {'sent'} | {'gone'}
local now = math.floor(clock() / 1000)
local field, worker = 'sms:' .. ARGV[2], ARGV[4]

local v = redis.call('HMGET', KEYS[1], 'id', 'status', 'expires', 'send', field)
local id, status, expires, sms_number, state = v[1], v[2], v[3], v[4], v[5]
if id ~= ARGV[1] or tonumber(sms_number) < tonumber(ARGV[2]) then return {'gone'} end
if state == 'sent' then return {'sent'} end
if state == 'released' then return {'gone'} end
if status ~= 'pending' or now >= tonumber(expires) then return {'gone'} end

-- Any other state is the lease of whoever calls the gateway, 'worker:until', with ':unknown' after
-- it if an earlier call never told its outcome: that stays so, whoever takes the lease over or
-- gives it back.
local unknown = state == 'unknown'
if state and not unknown then
  local holder, held_until, flag = string.match(state, '^(%d+):(%d+)(.*)$')
  if holder ~= worker and now < tonumber(held_until) then return {'busy'} end
  unknown = holder ~= worker or flag ~= ''
end
local lease = string.format('%s:%.0f', worker, now + tonumber(ARGV[3]))
if unknown then lease = lease .. ':unknown' end
redis.call('HSET', KEYS[1], field, lease)
return {'go', tonumber(expires) - now, unknown and 1 or 0}
