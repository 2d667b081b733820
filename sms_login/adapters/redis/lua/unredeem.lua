-- Make a spent code valid again, because its use failed.
--
-- KEYS  1 challenge   2 failures in a row
-- ARGV  1 id of the login that failed: the one that spent the code, or its repeat
--       2 "1" if its refunds may have been made: the next login makes none
-- Gives "valid" | "held": another of these logins may have succeeded | "gone"
--
-- Only while the challenge exists and lists this login: a crash leaves a code spent, never usable twice.
local challenge, failures = unpack(KEYS)
local holders, cleared, cleared_left =
  unpack(redis.call('HMGET', challenge, 'undoable_by', 'failures', 'failures_left'))
local from, to = string.find(holders or '', ARGV[1] .. ' ', 1, true)
if not from then return 'gone' end
if ARGV[2] == '1' then
  for _, field in ipairs(redis.call('HKEYS', challenge)) do
    if string.sub(field, 1, 5) == 'took:' then redis.call('HSET', challenge, field, '') end
  end
end
holders = string.sub(holders, 1, from - 1) .. string.sub(holders, to + 1)
if holders ~= '' then
  redis.call('HSET', challenge, 'undoable_by', holders)
  return 'held'
end
redis.call('HDEL', challenge, 'login', 'undoable_by', 'spent_left', 'login_key', 'generation', 'failures',
  'failures_left')
if cleared then
  -- Failures since then were counted from zero, and their expiry is the later one.
  if redis.call('EXISTS', failures) == 1 then
    redis.call('INCRBY', failures, cleared)
  elseif count_of(cleared_left) > 0 then
    redis.call('SET', failures, cleared, 'PX', cleared_left)
  end
end
return 'valid'
