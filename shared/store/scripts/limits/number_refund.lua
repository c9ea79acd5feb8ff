do
  local number = unpacked(redis.call('GET', KEYS[__key]))
  if number and #number[TIMES] > 0 then
    table.remove(number[TIMES], 1)
    number[ROOM_AT] = 0
    redis.call('SET', KEYS[__key], packed(number), 'KEEPTTL')
  end
end
