-- Give a number to a user who comes from another one.
--
-- KEYS  1 user at the new number   2 mark of a cancelled change
-- ARGV  1 user id   2 now, epoch ms   3 ms without a login after which a user returns, 0 for never
--       4 old number   5 to 10 the user's record there: name, avatar, created, banned, last login, returned; "" each if
--       they were not there
-- Gives the record of the number's user afterwards | {} if they were not there, were banned, or the change was cancelled
return take_number(KEYS[1], KEYS[2], unpack(ARGV))
