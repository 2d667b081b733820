-- Give a user a nickname, if the number is still theirs.
--
-- KEYS  1 user
-- ARGV  1 user id   2 name
-- Gives {id, name, avatar, created} | {} if there is no such user
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return {} end
redis.call('HSET', KEYS[1], 'name', ARGV[2])
return redis.call('HMGET', KEYS[1], 'id', 'name', 'avatar', 'created')
