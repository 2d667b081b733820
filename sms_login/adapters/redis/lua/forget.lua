-- Delete a spent challenge and, if it was the latest, the mark of that. The counts against abuse stay.
--
-- KEYS  1 challenge   2 latest
-- ARGV  1 id of the challenge
-- Gives "done"
redis.call('DEL', KEYS[1])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 'done'
