-- Return the user of a session.
--
-- KEYS  1 session   2 index of the number's sessions
-- ARGV  1 session id
-- Gives the user id | "" if the session has ended
return owner_of(KEYS[1], KEYS[2], ARGV[1]) or ''
