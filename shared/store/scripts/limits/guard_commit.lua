if not calm then redis.call('SET', KEYS[__key], value__limit, 'EX', kept__limit) end
