-- Note a delivery receipt, if its number has asked for a code lately.
--
-- KEYS  1 receipts   2... latest, of each purpose
-- ARGV  1 serial number   2 the receipt: its status, time and reason   3 receipts that a number may have
-- Gives "noted" | "repeated": nothing new | "unknown": there was no sending, or there are too many receipts
--
-- Receipts come late, twice and in any order. A phone that has got a message keeps it: no failure follows a delivery.
local receipts, serial_no, receipt = KEYS[1], unpack(ARGV)
local left = 0
for i = 2, #KEYS do left = math.max(left, redis.call('PTTL', KEYS[i])) end
if left <= 0 then return 'unknown' end
local known = redis.call('HGET', receipts, serial_no)
if known and not (string.find(known, '^failed') and string.find(receipt, '^delivered')) then return 'repeated' end
if not known and redis.call('HLEN', receipts) >= tonumber(ARGV[3]) then return 'unknown' end
redis.call('HSET', receipts, serial_no, receipt)
lengthen(receipts, left)
return 'noted'
