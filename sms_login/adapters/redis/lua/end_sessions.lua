-- End all sessions of a number.
--
-- KEYS  1 index of the number's sessions
-- Gives their ids, to be deleted
local sessions = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if is_session(field) then table.insert(sessions, field) end
end
redis.call('DEL', KEYS[1])
return sessions
