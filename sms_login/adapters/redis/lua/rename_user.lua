-- Give a user a nickname, if the number is still theirs and they are still signed in.
--
-- KEYS  1 user   2 their session   3 index of the number's sessions
-- ARGV  1 user id   2 name   3 session id
-- Gives {id, name, avatar, created} | {} if the session has ended, or there is no such user
local user, session, index = unpack(KEYS)
local user_id, name, session_id = unpack(ARGV)
if owner_of(session, index, session_id) ~= user_id or redis.call('HGET', user, 'id') ~= user_id then return {} end
redis.call('HSET', user, 'name', name)
return redis.call('HMGET', user, 'id', 'name', 'avatar', 'created')
