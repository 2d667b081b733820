-- Delete a user, if the number is still theirs.
--
-- KEYS  1 user
-- ARGV  1 user id
-- Gives 1 | 0 if there is no such user
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
