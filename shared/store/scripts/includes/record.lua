-- A number's record: a MessagePack of these fields, in this order. Times are in ms since 1970.
--   ID, SCOPE, TO, STATUS, DELIVERY
--                of the latest verification; requests of the same SCOPE continue it; TO is the
--                masked number
--   BEGAN        its creation
--   EXPIRES      its end
--   NEXT         the time at which another SMS may be requested; of a message, the time until which
--                its job is surely on its way
--   ROOM_AT      the time at which the number's windows have room
--   SEND, SHOWN  number of the latest SMS, and of the one that DELIVERY is of
--   WRONG, WRONG_UNTIL
--                number of wrong codes, and the time until which they count
--   CANDIDATE    the request that was admitted last: true for the ID itself, '' after its release
--   GUARD        subjects of the conversion guard, separated by spaces
--   TIMES        times of the number's latest SMS, the latest first
--   UNTIL        the time at which the record expires
-- and where they are needed:
--   CHECKED      identifier of the latest check
--   CONCLUDED    '0' if its caller cancelled it, '1' if he approved it, '2' if he was brought its
--                code
--   BEFORE       {EXPIRES, SHOWN, DELIVERY} before the latest SMS was admitted, for a release
--   SMS          state of each SMS by its number: 'sent', 'released', 'unknown', or the lease of a
--                worker
--   MESSAGES     number of the SMS by a gateway's message ID
--   REPORTS      delivery reports by the message ID, of messages that are not known yet
local ID, SCOPE, TO, STATUS, DELIVERY, BEGAN, EXPIRES, NEXT, ROOM_AT, SEND, SHOWN, WRONG,
  WRONG_UNTIL, CANDIDATE, GUARD, TIMES, UNTIL, CHECKED, CONCLUDED, BEFORE, SMS, MESSAGES, REPORTS =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23

-- Unpacks a record; nil if there is none.
local function unpacked(stored)
  return stored and {cmsgpack.unpack(stored)} or nil
end

local function packed(record)
  return cmsgpack.pack(unpack(record, 1, REPORTS))
end

-- A record of a number without a verification.
local function blank()
  return {'', '', '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, '', '', {}, 0}
end

-- Stores what has become of the number's record, also where Redis' memory is full: it refuses a SET
-- until a script has sent a write that needs no memory, such as this HDEL, which does nothing to a
-- text.
local function replace(value, ...)
  local answer = redis.pcall('SET', KEYS[1], value, ...)
  if type(answer) == 'table' and answer.err then
    redis.pcall('HDEL', KEYS[1], '')
    redis.call('SET', KEYS[1], value, ...)
  end
end

-- Returns true if the latest admission is of this candidate.
local function is_admitted(record, candidate)
  local latest = record[CANDIDATE]
  return latest == candidate or (latest == true and record[ID] == candidate)
end

-- Returns true for the record of a message.
local function is_message(record)
  return string.sub(record[SCOPE], 1, #MESSAGE_SCOPE) == MESSAGE_SCOPE
end

-- Wrong codes that count now, and the time until which they do.
local function wrong_codes(record, now)
  if now >= record[WRONG_UNTIL] then return 0, 0 end
  return record[WRONG], record[WRONG_UNTIL]
end
