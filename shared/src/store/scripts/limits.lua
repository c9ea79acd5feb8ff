-- Limits, for the scripts that this stands before. Each has five values in the arguments.
--
-- 'rate', interval, ahead: a cell rate (GCRA). Its key holds the time (µs) at which all that was counted on it is over; one
-- counts for `interval`, and so much may be counted `ahead` in all.
--
-- 'conversion', enforced, threshold, up, down: the conversion guard. Its key holds what became of the SMS to a block of numbers or
-- to a country: the score s, which an SMS that nobody typed a code back of moves `up`, and one that somebody did moves
-- `down`; n SMS and a approvals, for the base rate; and of the last minutes, by slots of time, w = {SMS of which nobody knows
-- yet, approvals}, which are not counted before all of a slot are known.
local VALUES = 5

-- Seconds: how long a code may take to be typed back, a slot, half-lives of the score and of the base rate, and the time until an
-- SMS that shows whether a block has recovered, p, which doubles with each of them that is in vain, k, up to 2 ^ DOUBLINGS.
local LAG, SLOT, SCORE, BASE, PROBE, DOUBLINGS = 120, 10, 86400, 604800, 7200, 3

-- Whether a block is taken for abused: from the threshold on, and then until its score is below a half of it.
local function abused(score, state)
  return state.h > 0 and (score >= state.h or (state.p > 0 and score > state.h / 2))
end

-- What a guard's key holds, as it is now.
local function guard(stored, now)
  now = math.floor(now / 1000000)
  local state = stored and cmsgpack.unpack(stored) or {s = 0, n = 0, a = 0, t = now, p = 0, k = 0, h = 0, u = 0, d = 0, w = {}}
  local known = {}
  for slot in pairs(state.w) do
    if (slot + 1) * SLOT + LAG <= now then known[#known + 1] = slot end
  end
  table.sort(known)
  for _, slot in ipairs(known) do
    local vain, approved = unpack(state.w[slot])
    state.s = math.max(0, state.s + state.u * vain + state.d * approved)
    state.n, state.a, state.w[slot] = state.n + vain + approved, state.a + approved, nil
    if approved > 0 then state.p, state.k = 0, 0 end
    if vain > 0 and abused(state.s, state) then
      state.p = math.max(state.p, (slot + 1) * SLOT + LAG + PROBE * 2 ^ state.k)
      state.k = math.min(state.k + 1, DOUBLINGS)
    end
  end
  local base = 0.5 ^ ((now - state.t) / BASE)
  state.s, state.n, state.a, state.t = state.s * 0.5 ^ ((now - state.t) / SCORE), state.n * base, state.a * base, now
  return state
end

-- Counts one more SMS. The second value is how long to wait (ms) if there should not be one now.
local function guarded(state, threshold, up, down)
  state.h, state.u, state.d = threshold, up, down
  local score, wait, slot = state.s, 0, math.floor(state.t / SLOT)
  -- Where something is wrong already, what nobody knows yet counts as what it will be.
  if score > threshold / 2 then
    for _, counts in pairs(state.w) do score = score + up * counts[1] + down * counts[2] end
  end
  if state.t < state.p then
    wait = (state.p - state.t) * 1000
  elseif abused(score, state) then
    state.p = state.t + PROBE
  end
  state.w[slot] = state.w[slot] or {0, 0}
  state.w[slot][1] = state.w[slot][1] + 1
  return state, wait
end

-- Which of the limits KEYS[first..last] (counted from 0) have no room for one more, the longest wait until they have (ms), what to
-- set each to so that one more is counted, and how many have no room that is not enforced. Their values begin at ARGV[arg],
-- and what they hold at stored[from].
local function look(first, last, arg, stored, from, now)
  local full, wait, counted, observed = {}, 0, {}, 0
  for i = 0, last - first do
    local at = arg + VALUES * i
    local a, b, c, d = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local late
    if ARGV[at] == 'rate' then
      counted[i] = math.max(tonumber(stored[from + i] or 0), now) + a
      late = math.ceil((counted[i] - now - b) / 1000)
    else
      counted[i], late = guarded(guard(stored[from + i], now), b, c, d)
      if late > 0 and a == 0 then observed, late = observed + 1, 0 end
    end
    if late > 0 then
      full[#full + 1] = i
      wait = math.max(wait, late)
    end
  end
  return full, wait, counted, observed
end

local function set(key, value, now)
  if type(value) == 'table' then
    -- Of a country the base rate is kept, of a block the score.
    redis.call('SET', key, cmsgpack.pack(value), 'EX', value.u > 0 and 4 * SCORE or 2 * BASE)
  elseif value > now then
    redis.call('SET', key, string.format('%.0f', value), 'PX', math.ceil((value - now) / 1000))
  else
    redis.call('DEL', key)
  end
end

local function count(first, last, counted, now)
  for i = 0, last - first do set(KEYS[first + i], counted[i], now) end
end

local function give_back(first, last, arg, now)
  for i = 0, last - first do
    local at, stored = arg + VALUES * i, redis.call('GET', KEYS[first + i])
    if ARGV[at] == 'rate' then
      set(KEYS[first + i], tonumber(stored or 0) - tonumber(ARGV[at + 1]), now)
    elseif stored then
      local state, latest = guard(stored, now), -1
      for slot, counts in pairs(state.w) do latest = counts[1] > 0 and math.max(latest, slot) or latest end
      if latest >= 0 then
        state.w[latest][1] = state.w[latest][1] - 1
        set(KEYS[first + i], state, now)
      end
    end
  end
end
