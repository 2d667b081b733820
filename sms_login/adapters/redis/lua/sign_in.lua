-- Find the user of a number, or sign them up: two first logins at once make one user.
--
-- KEYS  1 user
-- ARGV  1 id for a new user   2 now, epoch ms   3 ms without a login after which a user returns, 0 for never
-- Gives the record
return sign_in(KEYS[1], record_of(KEYS[1]), unpack(ARGV))
