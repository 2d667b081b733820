-- Return the receipt of a message to the holder of a challenge.
--
-- KEYS  1 challenge   2 receipts
-- ARGV  1 serial number
-- Gives the receipt as note_receipt.lua has it, "" if there is none; nil if there is no such challenge
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
return redis.call('HGET', KEYS[2], ARGV[1]) or ''
