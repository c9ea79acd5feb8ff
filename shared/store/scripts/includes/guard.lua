-- The conversion guard's state of a prefix (a block of numbers) or of a country: a MessagePack of
-- these fields, in this order (times in s since 1970):
--   known_at      time at which the outcomes of the oldest slot in `recent` are known; NEVER if
--                 there is none
--   score         CUSUM: an SMS without an approval adds the miss weight, one with an approval the
--                 hit weight, which is negative; never below 0
--   probe_at      a prefix: time of the next SMS that tests if it has recovered;
--                 a country: end of its suspicious time; 0 if all is well
--   sent          SMS whose outcome is known, for the base rate
--   approved      SMS whose code was typed back
--   as_of         time of the score and of these two values, which fade
--   failed_probes failed probes in a row, up to MAX_DOUBLINGS
--   threshold, miss_weight, hit_weight
--                 of the latest SMS; as text, since they are rarely needed
--   is_country
--   recent        SMS that are not counted yet, because some outcomes of their time slot are
--                 unknown: three values for each slot, the slot, SMS without an approval so far,
--                 and approvals. An approval may come before its SMS was counted: then the second
--                 value is less than 0 for a moment.
local NEVER = 2 ^ 52

-- A prefix is abused from the threshold on, until its score falls to half of it.
local function is_abused(score, state)
  local threshold = tonumber(state.threshold)
  return threshold > 0
    and (score >= threshold or (state.probe_at > 0 and score > threshold / 2))
end

local function wait_longer(state, known_at)
  local wait = PROBE_WAIT * 2 ^ state.failed_probes
  state.probe_at = math.max(state.probe_at, known_at + wait)
  state.failed_probes = math.min(state.failed_probes + 1, MAX_DOUBLINGS)
end

-- Updates the state after a time slot whose outcomes are all known since `known_at`.
local function judge(state, known_at, misses, hits)
  if state.is_country then
    local threshold = tonumber(state.threshold)
    if threshold > 0 and state.score >= threshold then
      if known_at > state.probe_at + DAY then state.failed_probes = 0 end
      state.score = 0
      wait_longer(state, known_at)
    end
    return
  end
  if hits > 0 then state.probe_at, state.failed_probes = 0, 0 end
  -- An SMS that was sent before the prefix was refused is no probe.
  local was_probe = known_at - LAG > state.probe_at - PROBE_WAIT
  if misses > 0 and was_probe and is_abused(state.score, state) then
    wait_longer(state, known_at)
  end
end

local function is_known(slot, now)
  return (slot + 1) * SLOT + LAG <= now
end

-- Unpacks a state, and brings it up to date.
local function guard(stored, micros)
  local now = math.floor(micros / 1000000)
  if not stored then
    return {
      score = 0, probe_at = 0, sent = 0, approved = 0, as_of = now, failed_probes = 0,
      threshold = '0', miss_weight = '0', hit_weight = '0', is_country = false, recent = {},
    }
  end
  local _, score, probe_at, sent, approved, as_of, failed_probes, threshold, miss_weight,
    hit_weight, is_country, recent = cmsgpack.unpack(stored)
  local state = {
    score = score, probe_at = probe_at, sent = sent, approved = approved, as_of = now,
    failed_probes = failed_probes, threshold = threshold, miss_weight = miss_weight,
    hit_weight = hit_weight, is_country = is_country, recent = recent,
  }
  local counted = 0
  for i = 1, #recent, 3 do
    local slot, misses, hits = recent[i], math.max(0, recent[i + 1]), recent[i + 2]
    if not is_known(slot, now) then break end
    state.score = math.max(0, state.score + miss_weight * misses + hit_weight * hits)
    state.sent, state.approved = state.sent + misses + hits, state.approved + hits
    counted = i + 2
    judge(state, (slot + 1) * SLOT + LAG, misses, hits)
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

-- Adds SMS and approvals of a time slot.
local function add(state, slot, misses, hits)
  local recent = state.recent
  local i = #recent - 2
  while i > 0 and recent[i] > slot do i = i - 3 end
  if i > 0 and recent[i] == slot then
    recent[i + 1], recent[i + 2] = recent[i + 1] + misses, recent[i + 2] + hits
    return
  end
  table.insert(recent, i + 3, slot)
  table.insert(recent, i + 4, misses)
  table.insert(recent, i + 5, hits)
end

local function set_test(state, is_country, threshold, miss_weight, hit_weight)
  state.is_country, state.threshold = is_country, threshold
  state.miss_weight, state.hit_weight = miss_weight, hit_weight
end

-- Counts one more SMS. Returns the new state, the wait (ms) if it should not be sent now, and true
-- if it is suspicious.
local function counted(state, is_country, threshold, miss_weight, hit_weight)
  set_test(state, is_country, threshold, miss_weight, hit_weight)
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
  add(state, math.floor(now / SLOT), 1, 0)
  return state, wait, suspicious
end

-- Removes the latest SMS that has no approval. Returns true if there is one.
local function uncount(state)
  local recent = state.recent
  for i = #recent - 2, 1, -3 do
    if recent[i + 1] > 0 then
      local slot, asked = recent[i], state.probe_at - PROBE_WAIT
      recent[i + 1] = recent[i + 1] - 1
      -- If it was a probe, another may be sent.
      if not state.is_country and asked >= slot * SLOT and asked < (slot + 1) * SLOT then
        state.probe_at = state.as_of
      end
      return true
    end
  end
  return false
end

-- Packs a state. Returns its lifetime (s) with it, as text.
local function packed_guard(state)
  local oldest = state.recent[1]
  local known_at = oldest and (oldest + 1) * SLOT + LAG or NEVER
  local kept = state.is_country and COUNTRY_KEPT or PREFIX_KEPT
  return cmsgpack.pack(known_at, state.score, state.probe_at, state.sent, state.approved,
    state.as_of, state.failed_probes, state.threshold, state.miss_weight, state.hit_weight,
    state.is_country, state.recent), text(kept)
end
