redis.call('SET', KEYS[__key], text(value__limit), 'PX',
  text(math.ceil((value__limit - micros) / 1000)))
