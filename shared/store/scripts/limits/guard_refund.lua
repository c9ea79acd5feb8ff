do
  local stored = redis.call('GET', KEYS[__key])
  local state = stored and guard(stored, micros)
  if state and uncount(state) then
    local value, kept = packed_guard(state)
    redis.call('SET', KEYS[__key], value, 'EX', kept)
  end
end
