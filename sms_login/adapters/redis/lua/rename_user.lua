-- Give a user a nickname, if the number is still theirs, they are still signed in, and not banned.
--
-- KEYS  1 user   2 their session   3 index of the number's sessions
-- ARGV  1 user id   2 name   3 session id
-- Gives the record | {} if the session has ended, or there is no such user, or they are banned or about
--       to change the number
local user, session, index = unpack(KEYS)
local user_id, name, session_id = unpack(ARGV)
if owner_of(session, index, session_id) ~= user_id or redis.call('HGET', user, 'id') ~= user_id then return {} end
local record = record_of(user)
if record[5] or record[8] then return {} end
redis.call('HSET', user, 'name', name)
record[2] = name
return record
