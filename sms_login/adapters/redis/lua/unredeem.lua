-- Make a spent code good again, because the user record could not be written.
--
-- KEYS  1 session   2 failures in a row of the number
-- ARGV  1 the login that spent it
-- Gives "good" | "gone"
--
-- Only while the record exists and carries this login's mark: a crash leaves a code spent, never usable twice.
local session, failures = KEYS[1], KEYS[2]
local was = redis.call('HMGET', session, 'undo', 'failures', 'lock')
if was[1] ~= ARGV[1] then return 'gone' end
redis.call('HDEL', session, 'login', 'undo', 'spent', 'key', 'generation', 'failures', 'lock')
if was[2] then
  -- Failures that came since then were counted from nothing, and their expiry is the later one.
  if redis.call('EXISTS', failures) == 1 then
    redis.call('INCRBY', failures, was[2])
  elseif count_of(was[3]) > 0 then
    redis.call('SET', failures, was[2], 'PX', was[3])
  end
end
return 'good'
