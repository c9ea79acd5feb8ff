-- Limits. Each has VALUES values in the arguments, of which the first is its rule:
--
--   'rate', interval, burst, 0, 0
--       A cell rate (GCRA). Each one takes `interval` (µs), and up to `burst` (µs) may be taken in
--       advance. Its key holds the time (µs) at which all that was counted is over (GCRA's
--       theoretical arrival time).
--
--   'budget', price, soft cap, hard cap, period
--       Money, in each period (µs) of the clock. Its key holds 'period:spent': the present period,
--       counted since 1970, and the amount spent in it.
--
--   'conversion' or 'country', action, threshold, miss weight, hit weight
--       The conversion guard of a prefix (a block of numbers) or of a country. `action` is OBSERVE,
--       REFUSE, or CHALLENGE (refuse abuse, and require a challenge where something is suspicious).
--       Its key holds a MessagePack of these fields, in this order (times in s since 1970):
--
--         score          CUSUM: an SMS without an approval adds the miss weight, one with an
--                        approval the hit weight, which is negative; never below 0
--         sent           SMS whose outcome is known, for the base rate
--         approved       SMS whose code was typed back
--         as_of          time of these three values, which fade
--         probe_at       a prefix: time of the next SMS that tests if it has recovered;
--                        a country: end of its suspicious time; 0 if all is well
--         failed_probes  failed probes in a row, up to MAX_DOUBLINGS
--         threshold, miss_weight, hit_weight
--                        of the latest SMS; as text, since they are rarely needed
--         is_country
--         recent         SMS that are not counted yet, because some outcomes of their time slot are
--                        unknown: three values for each slot, the slot, SMS without an approval so
--                        far, and approvals

-- Formats a whole number: much faster than Redis' own conversion.
local function text(number)
  return string.format('%d', number)
end

-- A prefix is abused from the threshold on, until its score falls to half of it.
local function is_abused(score, state)
  local threshold = tonumber(state.threshold)
  return threshold > 0
    and (score >= threshold or (state.probe_at > 0 and score > threshold / 2))
end

local function wait_longer(state, known)
  local wait = PROBE_WAIT * 2 ^ state.failed_probes
  state.probe_at = math.max(state.probe_at, known + wait)
  state.failed_probes = math.min(state.failed_probes + 1, MAX_DOUBLINGS)
end

-- Updates the state after a time slot whose outcomes are all known since `known`.
local function judge(state, known, misses, hits)
  if state.is_country then
    local threshold = tonumber(state.threshold)
    if threshold > 0 and state.score >= threshold then
      if known > state.probe_at + DAY then state.failed_probes = 0 end
      state.score = 0
      wait_longer(state, known)
    end
    return
  end
  if hits > 0 then state.probe_at, state.failed_probes = 0, 0 end
  -- An SMS that was sent before the prefix was refused is no probe.
  local was_probe = known - LAG > state.probe_at - PROBE_WAIT
  if misses > 0 and was_probe and is_abused(state.score, state) then wait_longer(state, known) end
end

-- Unpacks a guard's state, and brings it up to date.
local function guard(stored, micros)
  local now = math.floor(micros / 1000000)
  if not stored then
    return {
      score = 0, sent = 0, approved = 0, as_of = now, probe_at = 0, failed_probes = 0,
      threshold = '0', miss_weight = '0', hit_weight = '0', is_country = false, recent = {},
    }
  end
  local score, sent, approved, as_of, probe_at, failed_probes, threshold, miss_weight, hit_weight,
    is_country, recent = cmsgpack.unpack(stored)
  local state = {
    score = score, sent = sent, approved = approved, as_of = now, probe_at = probe_at,
    failed_probes = failed_probes, threshold = threshold, miss_weight = miss_weight,
    hit_weight = hit_weight, is_country = is_country, recent = recent,
  }
  local counted = 0
  for i = 1, #recent, 3 do
    local known, misses, hits = (recent[i] + 1) * SLOT + LAG, recent[i + 1], recent[i + 2]
    if known > now then break end
    state.score = math.max(0, state.score + miss_weight * misses + hit_weight * hits)
    state.sent, state.approved = state.sent + misses + hits, state.approved + hits
    counted = i + 2
    judge(state, known, misses, hits)
  end
  if counted > 0 then state.recent = {unpack(recent, counted + 1)} end
  if now > as_of then
    local age = now - as_of
    local fade = 0.5 ^ (age / BASE_HALF_LIFE)
    state.score = state.score * 0.5 ^ (age / SCORE_HALF_LIFE)
    state.sent, state.approved = state.sent * fade, state.approved * fade
  end
  return state
end

-- Counts one more SMS. Returns the new state, the wait (ms) if it should not be sent now, and true
-- if it is suspicious.
local function guarded(state, is_country, threshold, miss_weight, hit_weight)
  state.is_country, state.threshold = is_country, threshold
  state.miss_weight, state.hit_weight = miss_weight, hit_weight
  local score, wait, recent, now = state.score, 0, state.recent, state.as_of
  local suspicious = score > 0 and tonumber(threshold) > 0 and score > threshold / 2
  if is_country then
    suspicious = now < state.probe_at
  else
    -- Of a suspicious prefix, an SMS whose outcome is not known yet counts as a miss.
    if suspicious then
      for i = 1, #recent, 3 do
        score = score + miss_weight * recent[i + 1] + hit_weight * recent[i + 2]
      end
    end
    if now < state.probe_at then
      wait = (state.probe_at - now) * 1000
    elseif is_abused(score, state) then
      state.probe_at = now + PROBE_WAIT
    end
  end
  local size, slot = #recent, math.floor(now / SLOT)
  if recent[size - 2] == slot then
    recent[size - 1] = recent[size - 1] + 1
  else
    recent[size + 1], recent[size + 2], recent[size + 3] = slot, 1, 0
    state.renewed = true
  end
  return state, wait, suspicious
end

-- The present period of a budget, and the amount spent in it.
local function spent(stored, period, micros)
  local present = math.floor(micros / period)
  local of, amount = string.match(stored or '', '^(%d+):(%d+)$')
  return present, tonumber(of) == present and tonumber(amount) or 0
end

local function budget(present, amount, period, micros)
  local left = math.ceil(((present + 1) * period - micros) / 1000)
  return {text = string.format('%d:%d', present, amount), left = left}
end

-- Evaluates one more on the limits KEYS[first..last], and writes nothing. Their values begin at
-- ARGV[arg], and the contents of their keys at stored[from]. Returns a table:
--   exceeded    limits without room (counted from 0), each followed by its wait (ms)
--   values      new value of each limit with one more counted
--   observed    number of limits that only observe, and are exceeded or suspicious
--   suspicious  number of limits that require a challenge
--   reserved    limits with room only for numbers that were verified before, each followed by the
--               time (ms) until it has room for all
--   alarm       number of budgets that this SMS brings to their alarm threshold
local function evaluate(first, last, arg, stored, from, now)
  local check =
    {exceeded = {}, values = {}, observed = 0, suspicious = 0, reserved = {}, alarm = 0}
  local function add(list, limit, wait) list[#list + 1], list[#list + 2] = limit, wait end
  for i = 0, last - first do
    local at, held, wait = arg + VALUES * i, stored[from + i], 0
    local rule, one, two = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    if rule == 'rate' then
      local interval, burst = one, two
      check.values[i] = math.max(tonumber(held or 0), now) + interval
      wait = math.ceil((check.values[i] - now - burst) / 1000)
    elseif rule == 'budget' then
      local soft_cap, hard_cap = tonumber(two), tonumber(ARGV[at + 3])
      local period = tonumber(ARGV[at + 4])
      local present, before = spent(held, period, now)
      local after = before + one
      local value = budget(present, after, period, now)
      check.values[i] = value
      if after > hard_cap then
        wait = value.left
      elseif after > soft_cap then
        add(check.reserved, i, value.left)
      end
      local alarm = soft_cap * ALARM_PERCENT
      if before * 100 < alarm and after * 100 >= alarm then check.alarm = check.alarm + 1 end
    else
      local is_country = rule == 'country'
      local state, due, suspicious =
        guarded(guard(held, now), is_country, two, ARGV[at + 3], ARGV[at + 4])
      check.values[i], wait = state, due
      if one == OBSERVE then
        if wait > 0 or (suspicious and is_country) then check.observed = check.observed + 1 end
        wait = 0
      elseif one == CHALLENGE and suspicious then
        check.suspicious = check.suspicious + 1
      end
    end
    if wait > 0 then add(check.exceeded, i, wait) end
  end
  return check
end

-- Writes a value that `evaluate` or `guard` returned.
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
    local packed = cmsgpack.pack(v.score, v.sent, v.approved, v.as_of, v.probe_at, v.failed_probes,
      v.threshold, v.miss_weight, v.hit_weight, v.is_country, v.recent)
    if v.renewed then
      redis.call('SET', key, packed, 'EX', text(v.is_country and COUNTRY_KEPT or PREFIX_KEPT))
    else
      redis.call('SET', key, packed, 'KEEPTTL')
    end
  end
end

-- Writes the values of an evaluation.
local function commit(first, last, values, now)
  for i = 0, last - first do set(KEYS[first + i], values[i], now) end
end

-- Refunds one on the limits KEYS[first..last].
local function refund(first, last, arg, now)
  for i = 0, last - first do
    local key, at = KEYS[first + i], arg + VALUES * i
    local stored, rule, amount = redis.call('GET', key), ARGV[at], tonumber(ARGV[at + 1])
    if rule == 'rate' then
      set(key, tonumber(stored or 0) - amount, now)
    elseif stored and rule == 'budget' then
      local period = tonumber(ARGV[at + 4])
      local present, before = spent(stored, period, now)
      set(key, budget(present, math.max(0, before - amount), period, now), now)
    elseif stored then
      local state = guard(stored, now)
      local recent = state.recent
      for misses = #recent - 1, 1, -3 do
        if recent[misses] > 0 then
          local slot, asked = recent[misses - 1], state.probe_at - PROBE_WAIT
          recent[misses] = recent[misses] - 1
          -- If it was a probe, another may be sent.
          if not state.is_country and asked >= slot * SLOT and asked < (slot + 1) * SLOT then
            state.probe_at = state.as_of
          end
          set(key, state, now)
          break
        end
      end
    end
  end
end
