-- Budgets: money, in each period (µs) of the clock. A key holds 'period:spent': the present
-- period, counted since 1970, and the amount spent in it.

-- The present period, and the amount spent in it.
local function spent(stored, period, micros)
  local present = math.floor(micros / period)
  local of, amount = string.match(stored or '', '^(%d+):(%d+)$')
  return present, tonumber(of) == present and tonumber(amount) or 0
end

-- Time (ms) until a period is over.
local function left(present, period, micros)
  return math.ceil(((present + 1) * period - micros) / 1000)
end
