-- Return for how long a challenge's code can still be redeemed.
--
-- KEYS  1 challenge
-- ARGV  1 "1" if guesses of logins without a sessionId count as well   2 guesses allowed to either kind
--       3 "1" if a code that a login has spent counts as redeemable
-- Gives ms, 0 if the code is spent or expired
local shared, spent = ARGV[1] == '1', ARGV[3] == '1'
local allowed = tonumber(ARGV[2])
local until_, login, guesses, shared_guesses =
  unpack(redis.call('HMGET', KEYS[1], 'until', 'login', 'guesses', 'shared_guesses'))
local open = count_of(guesses) < allowed or (shared and count_of(shared_guesses) < allowed)
if login then open = spent end
return open and life_of(redis.call('PTTL', KEYS[1]), until_) or 0
