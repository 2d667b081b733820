-- For how long can the code of this session still be redeemed?
--
-- KEYS  1 session
-- ARGV  1 guesses allowed to the session, and as many to those who have none   2 "1" if the latter count as well
-- Gives ms, 0 if it is over or spent
local left = redis.call('PTTL', KEYS[1])
local was = redis.call('HMGET', KEYS[1], 'until', 'login', 'wrong', 'open')
local function below(count) return count_of(count) < tonumber(ARGV[1]) end
local life = left - count_of(was[1])
if not was[1] or was[2] or life < 0 or not (below(was[3]) or (ARGV[2] == '1' and below(was[4]))) then return 0 end
return life
