-- End all sessions of a number.
--
-- KEYS  1 generation of the number's sessions   2 list of them   3 owner of them
-- ARGV  1 ms that the generation lives: longer than any session under any settings
-- Gives the ids in the list, to be deleted
redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[1]))
local sessions = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[2], KEYS[3])
return sessions
