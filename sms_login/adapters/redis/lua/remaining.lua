-- Return for how long a challenge's code can still be redeemed.
--
-- KEYS  1 challenge
-- ARGV  1 "1" if guesses of logins without a sessionId count as well   2 guesses allowed to either kind
-- Gives ms, 0 if the code is spent or expired
local shared = ARGV[1] == '1'
local allowed = numbers_from(2)
local until_, login, guesses, shared_guesses =
  unpack(redis.call('HMGET', KEYS[1], 'until', 'login', 'guesses', 'shared_guesses'))
local open = count_of(guesses) < allowed or (shared and count_of(shared_guesses) < allowed)
if login or not open then return 0 end
return life_of(redis.call('PTTL', KEYS[1]), until_)
