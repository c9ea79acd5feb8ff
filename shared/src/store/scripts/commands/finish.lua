-- After a call to a gateway: what came of it.
-- KEYS     the number's entry
-- ARGV     id, number of the SMS, outcome: sent | retrying | queued | failed | unknown, name of the worker, the gateway's name for
--          the message (empty: none)
local mark, outcome, worker = 'sms:' .. ARGV[2], ARGV[3], ARGV[4]
local v = redis.call('HMGET', KEYS[1], 'id', 'shown', 'delivery', mark)
if v[1] ~= ARGV[1] then return 0 end
local holder, flag = string.match(v[4] or '', '^(%d+):%d+(.*)$')
local holds = holder == worker
-- If the lease ran out, what the next worker does, or has done, counts; but what was sent was sent.
if outcome ~= 'sent' and not holds then return 0 end

local state, fields = outcome, {}
if outcome == 'sent' then
  fields = {mark, 'sent'}
  if ARGV[5] ~= '' then
    fields[3], fields[4] = 'message:' .. ARGV[5], ARGV[2]
    state = redis.call('HGET', KEYS[1], 'receipt:' .. ARGV[5]) or state
  end
elseif outcome == 'unknown' or flag ~= '' then
  fields = {mark, 'unknown'}
else
  redis.call('HDEL', KEYS[1], mark)
end
if outcome == 'unknown' then state = 'failed' end
-- The state that callers see is that of the latest SMS, and a receipt may have overtaken this call.
if v[2] == ARGV[2] and v[3] ~= 'delivered' then
  fields[#fields + 1], fields[#fields + 2] = 'delivery', state
end
if #fields > 0 then redis.call('HSET', KEYS[1], unpack(fields)) end
return 1
