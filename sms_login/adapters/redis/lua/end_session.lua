-- End a session.
--
-- KEYS  1 session   2 list of the number's sessions
-- ARGV  1 session id
-- Gives "done"
redis.call('DEL', KEYS[1])
redis.call('LREM', KEYS[2], 0, ARGV[1])
return 'done'
