-- A window of a number: `__max` SMS in `__period` (ms).
do
  local oldest = times[__max]
  if oldest then at = math.max(at, oldest + __period) end
end
