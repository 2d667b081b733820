-- Find the user of a number, or sign them up: two first logins at once make one user.
--
-- KEYS  1 user
-- ARGV  1 id for a new user   2 now, epoch ms
-- Gives {id, name, avatar, created}
return sign_in(KEYS[1], ARGV[1], ARGV[2])
