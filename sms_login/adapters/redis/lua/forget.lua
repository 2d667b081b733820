-- Forget a session whose code was spent; if it was the latest, that there was one. What counts against abuse stays.
--
-- KEYS  1 session   2 latest
-- ARGV  1 session
-- Gives "done"
redis.call('DEL', KEYS[1])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 'done'
