-- Reports to the conversion guard that a code was typed back.
-- KEYS     the guard's state of the prefix or country
-- ARGV     creation of the verification (ms)
local stored = redis.call('GET', KEYS[1])
if not stored then return end
local now = clock()
local state, slot = guard(stored, now), math.floor(tonumber(ARGV[1]) / 1000 / SLOT)
local recent, i = state.recent, 1
while recent[i] and recent[i] ~= slot do i = i + 3 end
if recent[i] and recent[i + 1] > 0 then
  recent[i + 1], recent[i + 2] = recent[i + 1] - 1, recent[i + 2] + 1
else
  -- It took so long that the SMS was counted as a miss.
  state.score = math.max(0, state.score - state.miss_weight + state.hit_weight)
  state.approved = state.approved + 1
  if not state.is_country then state.probe_at, state.failed_probes = 0, 0 end
end
set(KEYS[1], state, now)
