-- Delete a user, if the number is still theirs.
--
-- KEYS  1 user
-- ARGV  1 user id
-- Gives 1 | 0 if there is no such user, or they are about to change the number
local record = record_of(KEYS[1])
if record[1] ~= ARGV[1] or record[8] then return 0 end
return redis.call('DEL', KEYS[1])
