-- Return the user of a session.
--
-- KEYS  1 session   2 generation of the number's sessions
-- Gives the user id | "" if the session has ended
return owner_of(KEYS[1], KEYS[2]) or ''
