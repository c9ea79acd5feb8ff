-- Tells the conversion guard that a code was typed back.
-- KEYS     what the guard knows of the block of numbers, or of the country
-- ARGV     when the verification began (ms)
local stored = redis.call('GET', KEYS[1])
if not stored then return end
local now = clock()
local state, slot = guard(stored, now), math.floor(tonumber(ARGV[1]) / 1000 / SLOT)
local w, i = state.w, 1
while w[i] and w[i] ~= slot do i = i + 3 end
if w[i] and w[i + 1] > 0 then
  w[i + 1], w[i + 2] = w[i + 1] - 1, w[i + 2] + 1
else
  -- It took so long that it was taken for one that never is.
  state.s, state.a = math.max(0, state.s - state.u + state.d), state.a + 1
  if not state.c then state.p, state.k = 0, 0 end
end
set(KEYS[1], state, now)
