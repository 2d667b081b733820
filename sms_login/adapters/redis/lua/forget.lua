-- Delete a spent challenge and, if it was the latest, the list of sendings that says so. The counts against abuse stay.
--
-- KEYS  1 challenge   2 latest
-- ARGV  1 id of the challenge
-- Gives "done"
redis.call('DEL', KEYS[1])
local sendings = redis.call('GET', KEYS[2]) or ''
if string.find(sendings, ARGV[1] .. ':', 1, true) == 1 then redis.call('DEL', KEYS[2]) end
return 'done'
