-- After a call to a gateway: what came of it.
-- KEYS     the number's record
-- ARGV     id, number of the SMS, outcome: sent | retrying | queued | failed | unknown, name of the
--          worker, the gateway's name for the message (empty: none)
local field, outcome, worker, message_id = 'sms:' .. ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local v = redis.call('HMGET', KEYS[1], 'id', 'shown', 'delivery', field)
local id, reported_sms, delivery, state = v[1], v[2], v[3], v[4]
if id ~= ARGV[1] then return 0 end
local holder, flag = string.match(state or '', '^(%d+):%d+(.*)$')
-- If the lease ran out, what the next worker does, or has done, counts; but what was sent was sent.
if outcome ~= 'sent' and holder ~= worker then return 0 end

local result, fields = outcome, {}
if outcome == 'sent' then
  fields = {field, 'sent'}
  if message_id ~= '' then
    fields[3], fields[4] = 'message:' .. message_id, ARGV[2]
    result = redis.call('HGET', KEYS[1], 'receipt:' .. message_id) or result
  end
elseif outcome == 'unknown' or flag ~= '' then
  fields = {field, 'unknown'}
else
  redis.call('HDEL', KEYS[1], field)
end
if outcome == 'unknown' then result = 'failed' end
-- Callers see the state of the latest SMS, and a receipt may have overtaken this call.
if reported_sms == ARGV[2] and delivery ~= 'delivered' then
  fields[#fields + 1], fields[#fields + 2] = 'delivery', result
end
if #fields > 0 then redis.call('HSET', KEYS[1], unpack(fields)) end
return 1
