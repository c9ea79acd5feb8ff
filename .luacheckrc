-- What luacheck has to know of the store's scripts, and of those for wrk.
std = "lua51"
max_line_length = 100
-- What Redis gives a script.
read_globals = {"redis", "cmsgpack", "KEYS", "ARGV"}

-- A file is a part of a script. The other parts define the clock, the functions of includes/, and
-- the constants of constants.rs; variants.rs has the last ones.
local included = {
  "clock", "text",
  "ID", "SCOPE", "TO", "STATUS", "DELIVERY", "BEGAN", "EXPIRES", "NEXT", "ROOM_AT", "SEND",
  "SHOWN", "WRONG", "WRONG_UNTIL", "CANDIDATE", "GUARD", "CHECKED", "CONCLUDED", "BEFORE", "TIMES",
  "SMS", "MESSAGES", "REPORTS", "UNTIL", "unpacked", "packed", "blank", "is_admitted", "is_message",
  "wrong_codes", "replace",
  "guard", "is_known", "add", "set_test", "counted", "uncount", "packed_guard", "spent", "left",
  "OBSERVE", "CHALLENGE", "LAG", "SLOT", "SCORE_HALF_LIFE", "BASE_HALF_LIFE",
  "PROBE_WAIT", "MAX_DOUBLINGS", "DAY", "PREFIX_KEPT", "COUNTRY_KEPT", "ALARM_PERCENT",
  "HALF_OPEN_WAIT", "QUEUED_WITHIN", "MESSAGE_SCOPE", "ACCOUNT_KEPT",
  "VERIFIED", "DEFERS", "TTL", "RESEND_INTERVAL", "MAX_LIFE", "MAX_ATTEMPTS", "REMEMBER", "MOST",
  "LONGEST",
  "ALL_KEYS", "EVALUATE_LIMITS", "COMMIT_LIMITS", "REFUND_LIMITS", "EVALUATE_WINDOWS",
}
-- Names that a command gives to the blocks of limits/.
local for_limits = {
  "21./micros", "21./stored", "21./refuse", "21./reserve", "21./observed", "21./suspicious",
  "21./alarm", "21./calm",
}
files["**/commands/*.lua"] = {read_globals = included, ignore = for_limits}
-- Here what is defined is used elsewhere.
files["**/includes/*.lua"] = {read_globals = included, ignore = {"211"}}
files["**/limits/*.lua"] = {read_globals = included, ignore = {"111", "112", "113", "211"}}

-- The names that wrk has and takes.
files["bench/wrk/*.lua"] = {globals = {"wrk", "request"}}
