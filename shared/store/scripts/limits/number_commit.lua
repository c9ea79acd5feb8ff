do
  local number, times, at, now = number__limit, times__limit, 0, math.floor(micros / 1000)
  table.insert(times, 1, now)
  for i = #times, __most + 1, -1 do times[i] = nil end
  __all_windows()
  number = number or blank()
  number[TIMES], number[ROOM_AT], number[UNTIL] =
    times, at, math.max(number[UNTIL], now + __longest)
  redis.call('SET', KEYS[__key], packed(number), 'PX', text(number[UNTIL] - now))
end
