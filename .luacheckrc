-- What luacheck has to know of the store's scripts, and of those for wrk.
std = "lua51"
max_line_length = 100
-- What Redis gives a script.
read_globals = {"redis", "cmsgpack", "KEYS", "ARGV"}

-- A file is a part of a script. The other parts define the clock, the functions of
-- includes/limits.lua, and the constants of constants.rs.
local included = {
  "clock", "text", "guard", "evaluate", "set", "commit", "refund",
  "VALUES", "OBSERVE", "CHALLENGE", "LAG", "SLOT", "SCORE_HALF_LIFE", "BASE_HALF_LIFE",
  "PROBE_WAIT", "MAX_DOUBLINGS", "DAY", "PREFIX_KEPT", "COUNTRY_KEPT", "ALARM_PERCENT",
  "HALF_OPEN_WAIT", "ACCOUNT_KEPT",
}
files["**/commands/*.lua"] = {read_globals = included}
-- Here what is defined is used elsewhere.
files["**/includes/*.lua"] = {read_globals = included, ignore = {"211"}}

-- The names that wrk has and takes.
files["bench/wrk/*.lua"] = {globals = {"wrk", "request"}}
