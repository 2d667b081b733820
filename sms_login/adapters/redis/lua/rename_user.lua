-- Give a user a nickname, if the number is still theirs and they are still signed in.
--
-- KEYS  1 user   2 their session   3 generation of the number's sessions
-- ARGV  1 user id   2 name
-- Gives {id, name, avatar, created} | {} if the session has ended, or there is no such user
local user, session, generation_key = unpack(KEYS)
local user_id, name = unpack(ARGV)
if owner_of(session, generation_key) ~= user_id or redis.call('HGET', user, 'id') ~= user_id then return {} end
redis.call('HSET', user, 'name', name)
return redis.call('HMGET', user, 'id', 'name', 'avatar', 'created')
