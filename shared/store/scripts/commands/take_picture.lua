-- Tells what a picture shows, once: a call whose answer was lost cannot be made again, and the
-- caller gets another picture.
-- KEYS     the picture
-- Returns  {'shown', text} | {'gone'}
local shown = redis.call('GET', KEYS[1])
if not shown then return {'gone'} end
redis.call('DEL', KEYS[1])
return {'shown', shown}
