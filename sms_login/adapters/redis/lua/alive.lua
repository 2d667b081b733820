-- Whose is this session?
--
-- KEYS  1 session   2 generation of the number's sessions
-- Gives the user id | "" if it has ended
local has = redis.call('HMGET', KEYS[1], 'user', 'generation')
if has[1] and has[2] == (redis.call('GET', KEYS[2]) or '0') then return has[1] end
return ''
