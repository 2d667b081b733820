-- Take one from each window of a subject, or from none.
--
-- KEYS  1... windows
-- ARGV  1... four for each window: what it holds, "" for no end; from how many on a captcha is asked for, "" for never;
--       ms that are left of it; "1" if it counts, else it is only looked at
-- Gives {"full", ms until the full windows have ended} | {"ask"} | {"taken", count of each window that counts...}
local wait, asks = 0, false
for i, key in ipairs(KEYS) do
  local limit, asks_at = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  local count = count_of(redis.call('GET', key))
  if not (count < (limit or math.huge)) then
    wait = math.max(wait, tonumber(ARGV[4 * i - 1]))
  elseif asks_at and count >= asks_at then
    asks = true
  end
end
if wait > 0 then return {'full', wait} end
if asks then return {'ask'} end

local answer = {'taken'}
for i, key in ipairs(KEYS) do
  if ARGV[4 * i] == '1' then
    table.insert(answer, redis.call('INCR', key))
    redis.call('PEXPIRE', key, tonumber(ARGV[4 * i - 1]))
  end
end
return answer
