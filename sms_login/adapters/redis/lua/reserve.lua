-- Count one in each window of a subject, or in none of them.
--
-- KEYS  1... windows
-- ARGV  1 "check" (a dry run) or "reserve"   2 "1" if a captcha has been passed
--       3... four for each window: its limit, "" if unlimited; the count from which a captcha is required, "" for
--       never; ms until it ends; "1" if it is counted, else it is only compared
-- Gives {"full", ms until the last full window ends} | {"captcha"} | {"free"} in a dry run
--       | {"reserved", count of each counted window...}
local mode, captcha_passed = unpack(ARGV)
local function terms(i) return tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1]) end

local wait, captcha = 0, false
for i, key in ipairs(KEYS) do
  local limit, captcha_at, left = terms(i)
  local count = count_of(redis.call('GET', key))
  if not (count < (limit or math.huge)) then
    wait = math.max(wait, left)
  elseif captcha_at and count >= captcha_at and captcha_passed ~= '1' then
    captcha = true
  end
end
if wait > 0 then return {'full', wait} end
if captcha then return {'captcha'} end
if mode == 'check' then return {'free'} end

local answer = {'reserved'}
for i, key in ipairs(KEYS) do
  if ARGV[4 * i + 2] == '1' then
    local _, _, left = terms(i)
    table.insert(answer, redis.call('INCR', key))
    redis.call('PEXPIRE', key, left)
  end
end
return answer
