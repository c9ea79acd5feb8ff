do
  local value = tonumber(redis.call('GET', KEYS[__key]) or 0) - __interval
  if value > micros then
    redis.call('SET', KEYS[__key], text(value), 'PX', text(math.ceil((value - micros) / 1000)))
  else
    redis.call('DEL', KEYS[__key])
  end
end
