-- A cell rate (GCRA).
-- ARGV     the time (µs) that each one takes, the time (µs) that may be taken in advance
-- Its key holds the time (µs) at which all that was counted is over (GCRA's theoretical arrival
-- time).
local value__limit = math.max(tonumber(stored[__key] or 0), micros) + ARGV[__arg]
if value__limit - micros > tonumber(ARGV[__arg + 1]) then
  refuse(__limit, math.ceil((value__limit - micros - ARGV[__arg + 1]) / 1000))
end
