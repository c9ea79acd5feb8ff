-- A cell rate (GCRA): each one takes `__interval` (µs), and up to `__burst` (µs) may be taken in
-- advance. Its key holds the time (µs) at which all that was counted is over (GCRA's theoretical
-- arrival time).
local value__limit = math.max(tonumber(stored[__key] or 0), micros) + __interval
if value__limit - micros > __burst then
  refuse(__limit, math.ceil((value__limit - micros - __burst) / 1000))
end
