-- Note in a user's record that they are about to change their number.
--
-- KEYS  1 user at the old number
-- ARGV  1 user id   2 the change: its new number and its id
-- Gives the record as it was, unchanged if they are banned, or if it notes another change | {} if it is not theirs
local user_id, change = unpack(ARGV)
local record = record_of(KEYS[1])
if record[1] ~= user_id then return {} end
if not (record[5] or record[8]) then redis.call('HSET', KEYS[1], 'moving', change) end
return record
