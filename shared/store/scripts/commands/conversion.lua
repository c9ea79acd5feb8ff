-- Reads the conversion of a country.
-- KEYS     the guard's state of the country
-- Returns  {SMS whose outcome is known, approvals} of the past days, both in thousandths
local state = guard(redis.call('GET', KEYS[1]), clock())
return {math.floor(state.sent * 1000), math.floor(state.approved * 1000)}
