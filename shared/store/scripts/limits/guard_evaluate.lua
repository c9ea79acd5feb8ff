-- The conversion guard of a prefix (a block of numbers) or of a country.
-- ARGV     action, threshold, miss weight, hit weight
-- The action is OBSERVE, REFUSE, or CHALLENGE (refuse abuse, and require a challenge where
-- something is suspicious).
do
  local action, state, wait, is_suspicious = ARGV[__arg], counted(guard(stored[__key], micros),
    __country, ARGV[__arg + 1], ARGV[__arg + 2], ARGV[__arg + 3])
  if action == OBSERVE then
    if wait > 0 or (is_suspicious and __country) then observed = observed + 1 end
  elseif wait > 0 then
    refuse(__limit, wait)
  elseif action == CHALLENGE and is_suspicious then
    suspicious = suspicious + 1
  end
  value__limit, kept__limit = packed_guard(state)
end
