do
  local stored = redis.call('GET', KEYS[__key])
  if stored then
    local present, before = spent(stored, ARGV[__arg + 3], micros)
    local amount = math.max(0, before - ARGV[__arg])
    redis.call('SET', KEYS[__key], string.format('%d:%d', present, amount), 'PX',
      text(left(present, ARGV[__arg + 3], micros)))
  end
end
