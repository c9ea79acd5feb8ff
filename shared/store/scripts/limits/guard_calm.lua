-- Nothing is suspicious, by the first fields alone: until another slot is known a score only fades.
if calm and stored[__key] then
  local _, known_at, score, probe_at = cmsgpack.unpack_limit(stored[__key], 3, 0)
  calm = micros < known_at * 1000000
  if __country then
    calm = calm and micros >= probe_at * 1000000
  else
    calm = calm and probe_at == 0 and (score == 0 or score * 2 <= tonumber(ARGV[__arg + 1]))
  end
end
local value__limit, kept__limit
