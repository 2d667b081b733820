-- Add to the counts of an hour.
--
-- KEYS  1 counts of the hour
-- ARGV  1 ms that they are kept   2... a name and a number for each count
-- Gives "done"
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 'done'
