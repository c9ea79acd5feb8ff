redis.call('SET', KEYS[__key], string.format('%d:%d', present__limit, after__limit), 'PX',
  text(left(present__limit, ARGV[__arg + 3], micros)))
