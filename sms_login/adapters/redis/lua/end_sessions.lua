-- End all sessions of a number, or those of a user who is deleted.
--
-- KEYS  1 index of the number's sessions   2 user, to be deleted, if users are in this Redis
-- ARGV  1 id of the deleted user, "" to end the sessions of any   2 number that the user has moved to, "" if none
-- Gives {"ended", ids of the sessions, to be deleted...} | {"moving"} if the record notes another change of the number
local index, user = unpack(KEYS)
local user_id, new = unpack(ARGV)
local record = user and record_of(user) or {}
if record[1] == user_id then
  if string.match(record[8] or '', '^%S*') ~= new then return {'moving'} end
  redis.call('DEL', user)
end
local owner = redis.call('HGET', index, 'owner')
if user_id ~= '' and owner ~= user_id then return {'ended'} end
local sessions = ids_in(index)
redis.call('DEL', index)
return {'ended', unpack(sessions)}
