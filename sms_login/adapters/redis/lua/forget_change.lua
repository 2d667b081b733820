-- Delete the note of a change from a user's record.
--
-- KEYS  1 user
-- ARGV  1 field of the note   2 its value
-- Gives "done"
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 'done'
