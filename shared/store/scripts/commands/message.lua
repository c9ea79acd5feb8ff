-- Tells which number a gateway's message went to.
-- KEYS     the message
-- Returns  {'known', the number's tag} | {'unknown'}
local tag = redis.call('GET', KEYS[1])
if not tag then return {'unknown'} end
return {'known', tag}
