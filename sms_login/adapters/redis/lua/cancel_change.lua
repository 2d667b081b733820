-- Cancel a change of a number, unless it has taken the new number.
--
-- KEYS  1 user at the new number   2 mark of a cancelled change
-- ARGV  1 user id   2 ms for which it stays cancelled
-- Gives 1 | 0 if the user has the new number
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then return 0 end
redis.call('SET', KEYS[2], 1, 'PX', ARGV[2])
return 1
