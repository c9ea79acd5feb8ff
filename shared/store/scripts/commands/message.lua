-- Reads the recipient of a gateway's message.
-- KEYS     the message
-- Returns  {'known', the number's tag} | {'unknown'}
local tag = redis.call('GET', KEYS[1])
if not tag then return {'unknown'} end
return {'known', tag}
