-- Reads what the conversion guard knows of a country.
-- KEYS     the country's
-- Returns  {SMS, approvals} of the past days, of those whose outcome is known; both in thousandths
local state = guard(redis.call('GET', KEYS[1]), clock())
return {math.floor(state.sent * 1000), math.floor(state.approved * 1000)}
