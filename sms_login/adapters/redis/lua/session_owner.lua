-- Return the user of a session.
--
-- KEYS  1 session   2 generation of the number's sessions
-- Gives the user id | "" if the session has ended
local user, generation = unpack(redis.call('HMGET', KEYS[1], 'user', 'generation'))
if user and generation == generation_of(KEYS[2]) then return user end
return ''
