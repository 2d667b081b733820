-- End all sessions of a number, or those of a user who is deleted.
--
-- KEYS  1 index of the number's sessions   2 user, to be deleted, if users are in this Redis
-- ARGV  1 id of the deleted user, "" to end the sessions of any
-- Gives the ids of the sessions, to be deleted
local index, user = unpack(KEYS)
local user_id = ARGV[1]
if user and redis.call('HGET', user, 'id') == user_id then redis.call('DEL', user) end
local owner = redis.call('HGET', index, 'owner')
if user_id ~= '' and owner and owner ~= user_id then return {} end
local sessions = ids_in(index)
redis.call('DEL', index)
return sessions
