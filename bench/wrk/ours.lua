-- Each request is for a number that has not been asked for before, from FIRST on.
local number = tonumber(os.getenv("FIRST"))
wrk.headers["Content-Type"] = "application/json"
function request()
  number = number + 1
  return wrk.format("POST", "/v1/verifications", nil, string.format('{"to":"1%010d"}', number))
end
