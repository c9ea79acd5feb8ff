-- Before a call to a gateway: may this SMS be sent, and is nobody else at it?
-- KEYS     the number's entry
-- ARGV     id, number of the SMS, length of the lease (ms), name of the worker
-- Returns  {'go', expires in (ms), 1 if an earlier call's outcome is unknown} | {'busy'} | {'sent'} | {'gone'}
local now = math.floor(clock() / 1000)
local mark, worker = 'sms:' .. ARGV[2], ARGV[4]

local v = redis.call('HMGET', KEYS[1], 'id', 'status', 'expires', 'send', mark)
if v[1] ~= ARGV[1] or tonumber(v[4]) < tonumber(ARGV[2]) then return {'gone'} end
if v[5] == 'sent' then return {'sent'} end
if v[5] == 'released' then return {'gone'} end
if v[2] ~= 'pending' or now >= tonumber(v[3]) then return {'gone'} end

-- Any other mark is the lease of whoever calls the gateway, 'worker:until', with ':unknown' behind it if an earlier call
-- never told its outcome: that stays so, whoever takes the lease over or gives it back.
local unknown = v[5] == 'unknown'
if v[5] and not unknown then
  local holder, held_until, flag = string.match(v[5], '^(%d+):(%d+)(.*)$')
  if holder ~= worker and now < tonumber(held_until) then return {'busy'} end
  unknown = holder ~= worker or flag ~= ''
end
local lease = string.format('%s:%.0f', worker, now + tonumber(ARGV[3]))
if unknown then lease = lease .. ':unknown' end
redis.call('HSET', KEYS[1], mark, lease)
return {'go', tonumber(v[3]) - now, unknown and 1 or 0}
