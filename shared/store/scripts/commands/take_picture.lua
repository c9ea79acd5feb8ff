-- Reads the text of a picture and deletes it. A call whose reply was lost cannot be repeated: the
-- caller gets another picture.
-- KEYS     the picture
-- Returns  {'shown', text} | {'gone'}
local shown = redis.call('GET', KEYS[1])
if not shown then return {'gone'} end
redis.call('DEL', KEYS[1])
return {'shown', shown}
