-- Find the user of a number, or sign them up: two first logins at once make one user.
--
-- KEYS  1 user
-- ARGV  1 id for a new user   2 now, epoch ms
-- Gives {id, name, avatar, created}
if redis.call('HSETNX', KEYS[1], 'id', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], 'name', '', 'avatar', '', 'created', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'id', 'name', 'avatar', 'created')
