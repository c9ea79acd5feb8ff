-- A budget.
-- ARGV     price, soft cap, hard cap, period (µs)
local present__limit, after__limit = spent(stored[__key], ARGV[__arg + 3], micros)
do
  local before, soft_cap = after__limit, tonumber(ARGV[__arg + 1])
  after__limit = before + ARGV[__arg]
  if after__limit > tonumber(ARGV[__arg + 2]) then
    refuse(__limit, left(present__limit, ARGV[__arg + 3], micros))
  elseif after__limit > soft_cap then
    reserve(__limit, left(present__limit, ARGV[__arg + 3], micros))
  end
  local threshold = soft_cap * ALARM_PERCENT
  if before * 100 < threshold and after__limit * 100 >= threshold then alarm = alarm + 1 end
end
