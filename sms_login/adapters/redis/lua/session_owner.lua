-- Return the user of a session.
--
-- KEYS  1 session   2 index of the number's sessions
-- ARGV  1 session id
-- Gives the user id | "" if the session has ended
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return '' end
return redis.call('HGET', KEYS[1], 'user') or ''
