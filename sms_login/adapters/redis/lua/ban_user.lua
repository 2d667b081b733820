-- Ban a user, or lift the ban, if the number is still theirs.
--
-- KEYS  1 user
-- ARGV  1 user id   2 now, epoch ms; "" to lift the ban
-- Gives 1 | 0 if there is no such user, or they are about to change the number
local user_id, now = unpack(ARGV)
local record = record_of(KEYS[1])
if record[1] ~= user_id or record[8] then return 0 end
if now == '' then redis.call('HDEL', KEYS[1], 'banned') else redis.call('HSETNX', KEYS[1], 'banned', now) end
return 1
