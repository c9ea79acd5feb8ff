-- Formats a whole number: much faster than Redis' own conversion.
local function text(number)
  return string.format('%d', number)
end
