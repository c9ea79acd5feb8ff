-- Each request is for a number that has not been asked for before, from FIRST on.
local number = tonumber(os.getenv("FIRST"))
function request()
  number = number + 1
  return wrk.format("GET", string.format("/sms_codes/1%010d/", number))
end
