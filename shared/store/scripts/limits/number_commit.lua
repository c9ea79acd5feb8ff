do
  local number, times, at, now = number__limit, times__limit, 0, math.floor(micros / 1000)
  table.insert(times, 1, now)
  for i = #times, __most + 1, -1 do times[i] = nil end
  number = number or blank()
  number[TIMES], number[UNTIL] = times, math.max(number[UNTIL], now + __longest)
  if __shared then
    __all_windows()
    number[ROOM_AT] = at
  end
  redis.call('SET', KEYS[__key], packed(number), 'PX', text(number[UNTIL] - now))
end
