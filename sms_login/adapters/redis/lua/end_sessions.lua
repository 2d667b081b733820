-- End all sessions of a number.
--
-- KEYS  1 index of the number's sessions
-- Gives their ids, to be deleted
local sessions = ids_in(KEYS[1])
redis.call('DEL', KEYS[1])
return sessions
