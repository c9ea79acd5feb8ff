-- Reads the state of an account's circuit.
-- KEYS     the account's record
-- Returns  {'circuit', failures in a row, time until the next trial (ms), 0 if it is closed}
local v = redis.call('HMGET', KEYS[1], 'failures', 'open_until')
local open_for = math.ceil(tonumber(v[2] or 0) - clock() / 1000)
return {'circuit', tonumber(v[1] or 0), math.max(0, open_for)}
