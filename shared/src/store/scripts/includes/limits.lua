-- Limits, for the scripts that this stands before. Each has five values in the arguments.
--
-- 'rate', interval, ahead: a cell rate (GCRA). Its key holds the time (µs) at which all that was counted on it is over; one
-- counts for `interval`, and so much may be counted `ahead` in all.
--
-- 'budget', price, most, at all, span: money. Its key holds the present span of time, counted since 1970, and what was spent in it.
--
-- 'conversion' or 'country', answer, threshold, up, down: the conversion guard. Its key holds what became of the SMS to a block of
-- numbers or to a country: the score s, which an SMS that nobody typed a code back of moves `up`, and one that somebody did moves
-- `down`; n SMS and a approvals, for the base rate, as of the time t; and of the last minutes w, three values for each slot of time:
-- the slot, SMS of which nobody knows yet, approvals. They are not counted before all of a slot are known. h, u and d are the test's
-- values, kept as text, since mostly nobody needs them; c is whether it is a country's. `answer` is what is done where something is wrong: 0 to tell it, 1 to refuse, 2 to ask for a
-- challenge where that is enough.
local VALUES = 5

-- Seconds: how long a code may take to be typed back, a slot, half-lives of the score and of the base rate, and the time until an
-- SMS that shows whether a block has recovered, or for which a country is suspicious, p, which doubles with each that is in
-- vain, k, up to 2 ^ DOUBLINGS. What is a day old is no longer counted for that.
local LAG, SLOT, SCORE, BASE, PROBE, DOUBLINGS, DAY = 120, 10, 86400, 604800, 7200, 3, 86400

-- The share of a budget at which it is told how much is spent.
local ALARM = 0.8

-- A whole number as text: by far sooner done than what Redis makes of a number.
local function text(number)
  return string.format('%d', number)
end

-- Whether a block is taken for abused: from the threshold on, and then until its score is below a half of it.
local function abused(score, state)
  local threshold = tonumber(state.h)
  return threshold > 0 and (score >= threshold or (state.p > 0 and score > threshold / 2))
end

-- What follows from a slot of time of which all is known since `known`.
local function judge(state, known, vain, approved)
  if state.c then
    local threshold = tonumber(state.h)
    if threshold > 0 and state.s >= threshold then
      if known > state.p + DAY then state.k = 0 end
      state.s, state.p = 0, math.max(state.p, known + PROBE * 2 ^ state.k)
      state.k = math.min(state.k + 1, DOUBLINGS)
    end
    return
  end
  if approved > 0 then state.p, state.k = 0, 0 end
  -- What was sent before it was refused is no probe.
  local was_probe = known - LAG > state.p - PROBE
  if vain > 0 and was_probe and abused(state.s, state) then
    state.p = math.max(state.p, known + PROBE * 2 ^ state.k)
    state.k = math.min(state.k + 1, DOUBLINGS)
  end
end

-- What a guard's key holds, as it is now.
local function guard(stored, now)
  now = math.floor(now / 1000000)
  if not stored then return {s = 0, n = 0, a = 0, t = now, p = 0, k = 0, h = '0', u = '0', d = '0', c = false, w = {}} end
  local s, n, a, t, p, k, h, u, d, c, w = cmsgpack.unpack(stored)
  local state, counted = {s = s, n = n, a = a, t = now, p = p, k = k, h = h, u = u, d = d, c = c, w = w}, 0
  for i = 1, #w, 3 do
    local known, vain, approved = (w[i] + 1) * SLOT + LAG, w[i + 1], w[i + 2]
    if known > now then break end
    state.s = math.max(0, state.s + u * vain + d * approved)
    state.n, state.a, counted = state.n + vain + approved, state.a + approved, i + 2
    judge(state, known, vain, approved)
  end
  if counted > 0 then state.w = {unpack(w, counted + 1)} end
  if now > t then
    local base = 0.5 ^ ((now - t) / BASE)
    state.s, state.n, state.a = state.s * 0.5 ^ ((now - t) / SCORE), state.n * base, state.a * base
  end
  return state
end

-- Counts one more SMS. Besides, how long to wait (ms) if there should not be one now, and whether it is suspicious.
local function guarded(state, country, threshold, up, down)
  state.c, state.h, state.u, state.d = country, threshold, up, down
  local score, wait, slot, w = state.s, 0, math.floor(state.t / SLOT), state.w
  local suspicious = score > 0 and tonumber(threshold) > 0 and score > threshold / 2
  if country then
    suspicious = state.t < state.p
  else
    -- Where something is wrong already, what nobody knows yet counts as what it will be.
    if suspicious then
      for i = 1, #w, 3 do score = score + up * w[i + 1] + down * w[i + 2] end
    end
    if state.t < state.p then
      wait = (state.p - state.t) * 1000
    elseif abused(score, state) then
      state.p = state.t + PROBE
    end
  end
  local size = #w
  if w[size - 2] == slot then
    w[size - 1] = w[size - 1] + 1
  else
    w[size + 1], w[size + 2], w[size + 3] = slot, 1, 0
    state.lasts = true
  end
  return state, wait, suspicious
end

-- The present span of a budget, and what was spent in it.
local function spent(stored, span, now)
  local present = math.floor(now / span)
  local slot, amount = string.match(stored or '', '^(%d+):(%d+)$')
  return present, tonumber(slot) == present and tonumber(amount) or 0
end

local function budget(present, amount, span, now)
  return {text = string.format('%d:%d', present, amount), left = math.ceil(((present + 1) * span - now) / 1000)}
end

-- Looks at the limits KEYS[first..last]. Their values begin at ARGV[arg], and what they hold at stored[from]. Returns a table:
--   full       which of them (counted from 0) have no room for one more, each followed by the time until it has (ms)
--   counted    what to set each to so that one more is counted
--   observed   how many are not as they should be, and that is only told
--   suspicious how many ask for a challenge
--   reserved   which have room for numbers alone that were verified before, each followed by the time until it has for all (ms)
--   alarm      how many budgets this SMS brings to the share at which that is told
local function look(first, last, arg, stored, from, now)
  local found = {full = {}, counted = {}, observed = 0, suspicious = 0, reserved = {}, alarm = 0}
  local function add(list, limit, wait) list[#list + 1], list[#list + 2] = limit, wait end
  for i = 0, last - first do
    local at, held, late = arg + VALUES * i, stored[from + i], 0
    local rule, first, second = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    if rule == 'rate' then
      found.counted[i] = math.max(tonumber(held or 0), now) + first
      late = math.ceil((found.counted[i] - now - second) / 1000)
    elseif rule == 'budget' then
      local most, at_all, span = tonumber(second), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
      local present, before = spent(held, span, now)
      local after = before + first
      local value = budget(present, after, span, now)
      found.counted[i] = value
      if after > at_all then
        late = value.left
      elseif after > most then
        add(found.reserved, i, value.left)
      end
      if before < ALARM * most and after >= ALARM * most then found.alarm = found.alarm + 1 end
    else
      local country, suspicious = rule == 'country', nil
      found.counted[i], late, suspicious = guarded(guard(held, now), country, second, ARGV[at + 3], ARGV[at + 4])
      if first == '0' then
        if late > 0 or (suspicious and country) then found.observed = found.observed + 1 end
        late = 0
      elseif first == '2' and suspicious then
        found.suspicious = found.suspicious + 1
      end
    end
    if late > 0 then add(found.full, i, late) end
  end
  return found
end

local function set(key, value, now)
  if type(value) == 'number' then
    if value > now then
      redis.call('SET', key, text(value), 'PX', text(math.ceil((value - now) / 1000)))
    else
      redis.call('DEL', key)
    end
  elseif value.text then
    redis.call('SET', key, value.text, 'PX', text(value.left))
  else
    local v = value
    local packed = cmsgpack.pack(v.s, v.n, v.a, v.t, v.p, v.k, v.h, v.u, v.d, v.c, v.w)
    if v.lasts then
      -- Of a country the base rate is kept, of a block the score.
      redis.call('SET', key, packed, 'EX', text(v.c and 2 * BASE or 4 * SCORE))
    else
      redis.call('SET', key, packed, 'KEEPTTL')
    end
  end
end

local function count(first, last, counted, now)
  for i = 0, last - first do set(KEYS[first + i], counted[i], now) end
end

local function give_back(first, last, arg, now)
  for i = 0, last - first do
    local key, at = KEYS[first + i], arg + VALUES * i
    local stored, rule, amount = redis.call('GET', key), ARGV[at], tonumber(ARGV[at + 1])
    if rule == 'rate' then
      set(key, tonumber(stored or 0) - amount, now)
    elseif stored and rule == 'budget' then
      local span = tonumber(ARGV[at + 4])
      local present, before = spent(stored, span, now)
      set(key, budget(present, math.max(0, before - amount), span, now), now)
    elseif stored then
      local state = guard(stored, now)
      for vain = #state.w - 1, 1, -3 do
        if state.w[vain] > 0 then
          local slot, asked = state.w[vain - 1], state.p - PROBE
          state.w[vain] = state.w[vain] - 1
          -- If it was a probe, another may be sent.
          if not state.c and asked >= slot * SLOT and asked < (slot + 1) * SLOT then state.p = state.t end
          set(key, state, now)
          break
        end
      end
    end
  end
end
