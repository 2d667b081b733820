-- End a session.
--
-- KEYS  1 session   2 index of the number's sessions
-- ARGV  1 session id   2 ms that the index outlives its last session
-- Gives "done"
drop_session(KEYS[2], ARGV[1], tonumber(ARGV[2]))
redis.call('DEL', KEYS[1])
return 'done'
