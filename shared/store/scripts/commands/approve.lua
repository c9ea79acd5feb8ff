-- Reports to the conversion guard that a code was typed back.
-- KEYS     the guard's state of the prefix or country
-- ARGV     creation of the verification (ms)
local micros = clock()
local state = guard(redis.call('GET', KEYS[1]), micros)
local slot = math.floor(tonumber(ARGV[1]) / 1000 / SLOT)
if is_known(slot, state.as_of) then
  -- It took so long that the SMS was counted as a miss.
  state.score = math.max(0, state.score - state.miss_weight + state.hit_weight)
  state.approved = state.approved + 1
  if not state.is_country then state.probe_at, state.failed_probes = 0, 0 end
else
  add(state, slot, -1, 1)
end
local value, kept = packed_guard(state)
redis.call('SET', KEYS[1], value, 'EX', kept)
