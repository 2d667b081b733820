-- End all sessions of a number.
--
-- KEYS  1 generation of the number's sessions   2 list of them   3 whose they are
-- ARGV  1 ms that the generation is kept: no session lives longer, whatever the settings were
-- Gives the list, to be cleaned up
redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[1]))
local sessions = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[2], KEYS[3])
return sessions
