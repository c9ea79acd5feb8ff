-- Records the outcome of a call to a gateway.
-- KEYS     the number's record
-- ARGV     id, number of the SMS, outcome: sent | retrying | queued | failed | unknown, identifier
--          of the worker, the gateway's message ID (empty: none)
local field, outcome, worker, message_id = 'sms:' .. ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local v = redis.call('HMGET', KEYS[1], 'id', 'shown', 'delivery', field)
local id, reported_sms, delivery, state = v[1], v[2], v[3], v[4]
if id ~= ARGV[1] then return 0 end
local holder, flag = string.match(state or '', '^(%d+):%d+(.*)$')
-- If the lease expired, the next worker's outcome counts, but 'sent' is always recorded.
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
-- Callers see the state of the latest SMS; a delivery report may have arrived before this outcome.
if reported_sms == ARGV[2] and delivery ~= 'delivered' then
  fields[#fields + 1], fields[#fields + 2] = 'delivery', result
end
if #fields > 0 then redis.call('HSET', KEYS[1], unpack(fields)) end
return 1
