-- Limits, for the scripts that this stands before.
-- A limit is a cell rate (GCRA): a key with the time (µs) at which all that was counted on it is over. In the arguments it has
-- two values: the time for which one counts, and how long in all may be counted ahead (µs).

-- Which of the limits KEYS[first..last] (counted from 0) have no room for one more, the longest wait until they have (ms), and what to set
-- each to so that one more is counted. Their values begin at ARGV[arg], and their present times at stored[from].
local function look(first, last, arg, stored, from, now)
  local full, wait, counted = {}, 0, {}
  for i = 0, last - first do
    local interval, ahead = tonumber(ARGV[arg + 2 * i]), tonumber(ARGV[arg + 2 * i + 1])
    local time = math.max(tonumber(stored[from + i] or 0), now) + interval
    if time - now > ahead then
      full[#full + 1] = i
      wait = math.max(wait, math.ceil((time - now - ahead) / 1000))
    end
    counted[i] = time
  end
  return full, wait, counted
end

local function set(key, time, now)
  if time > now then
    redis.call('SET', key, string.format('%.0f', time), 'PX', math.ceil((time - now) / 1000))
  else
    redis.call('DEL', key)
  end
end

local function count(first, last, counted, now)
  for i = 0, last - first do set(KEYS[first + i], counted[i], now) end
end

local function give_back(first, last, arg, now)
  for i = 0, last - first do
    local time = tonumber(redis.call('GET', KEYS[first + i]) or 0)
    set(KEYS[first + i], time - tonumber(ARGV[arg + 2 * i]), now)
  end
end
