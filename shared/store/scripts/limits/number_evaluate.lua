-- The windows of a number, for an SMS that has a record of its own.
local number__limit = unpacked(stored[__key])
local times__limit = number__limit and number__limit[TIMES] or {}
do
  local times, at, now = times__limit, 0, math.floor(micros / 1000)
  __windows()
  if now < at then refuse(__limit, at - now) end
end
