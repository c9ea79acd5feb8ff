-- Tells the conversion guard that a code was typed back.
-- KEYS     what the guard knows of the block of numbers, or of the country
-- ARGV     when the verification began (ms)
local stored = redis.call('GET', KEYS[1])
if not stored then return end
local now = clock()
local state, slot = guard(stored, now), math.floor(tonumber(ARGV[1]) / 1000 / SLOT)
local counts = state.w[slot]
if counts and counts[1] > 0 then
  counts[1], counts[2] = counts[1] - 1, counts[2] + 1
else
  -- It took so long that it was taken for one that never is.
  state.s, state.a, state.p, state.k = math.max(0, state.s - state.u + state.d), state.a + 1, 0, 0
end
set(KEYS[1], state, now)
