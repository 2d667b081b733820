-- Note the serial number of a challenge's latest message.
--
-- KEYS  1 challenge
-- ARGV  1 serial number
-- Gives "done"
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'serial', ARGV[1]) end
return 'done'
