do
  local number = unpacked(redis.call('GET', KEYS[__key]))
  if number and #number[TIMES] > 0 then
    table.remove(number[TIMES], 1)
    if __shared then number[ROOM_AT] = 0 end
    redis.call('SET', KEYS[__key], packed(number), 'KEEPTTL')
  end
end
