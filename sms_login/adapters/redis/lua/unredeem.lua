-- Make a spent code valid again, because its use failed.
--
-- KEYS  1 challenge   2 failures in a row
-- ARGV  1 id of the login that spent it   2 "1" if its refunds may have been made: the next login makes none
-- Gives "valid" | "gone"
--
-- Only while the challenge exists and carries this login's id: a crash leaves a code spent, never usable twice.
local challenge, failures = unpack(KEYS)
local undoable_by, cleared, cleared_left =
  unpack(redis.call('HMGET', challenge, 'undoable_by', 'failures', 'failures_left'))
if undoable_by ~= ARGV[1] then return 'gone' end
redis.call('HDEL', challenge, 'login', 'undoable_by', 'spent_left', 'login_key', 'generation', 'failures',
  'failures_left')
if ARGV[2] == '1' then
  for _, field in ipairs(redis.call('HKEYS', challenge)) do
    if string.sub(field, 1, 5) == 'took:' then redis.call('HSET', challenge, field, '') end
  end
end
if cleared then
  -- Failures since then were counted from zero, and their expiry is the later one.
  if redis.call('EXISTS', failures) == 1 then
    redis.call('INCRBY', failures, cleared)
  elseif count_of(cleared_left) > 0 then
    redis.call('SET', failures, cleared, 'PX', cleared_left)
  end
end
return 'valid'
