-- Begin the session of a user who has just logged in.
--
-- KEYS  1 session   2 generation of the number's sessions   3 list of them   4 owner of them
--       5 user, to be signed in, if users are in this Redis
-- ARGV  1 user id, or with 5 the id for a new user   2 session id   3 ms that it lives without a refresh   4 ms that it lives at most
--       5 sessions that a number may have   6 ms that keys 2 to 4 live: longer than any session under any settings
--       7 now, epoch ms, with key 5
-- Gives {ms until it ends unless it is used, {id, name, avatar, created} or {}, ids of the sessions beyond 5...}
--
-- A session is a hash:
--   user         id of its user
--   generation   of the number's sessions when it began: all sessions of an older one have ended
--   count        of its refresh token: 1, and one more at each rotation
--   left         ms of its longest life that were left at the last rotation
--   ttl          the expiry that was set then: the present one tells how long ago it was
-- If another user owned the number before, their sessions end.
local session, generation_key, list, owner_key, user = unpack(KEYS)
local user_id, session_id = unpack(ARGV)
local idle, most, length, kept = numbers_from(3)

local fields = user and sign_in(user, user_id, ARGV[7]) or {}
user_id = fields[1] or user_id

local ttl = math.min(idle, most)
local owner = redis.call('GET', owner_key)
if owner and owner ~= user_id then redis.call('INCR', generation_key) end
redis.call('SET', owner_key, user_id, 'PX', kept)
redis.call('PEXPIRE', generation_key, kept)
local generation = generation_of(generation_key)
redis.call('HSET', session, 'user', user_id, 'generation', generation, 'count', 1, 'left', most, 'ttl', ttl)
redis.call('PEXPIRE', session, ttl)
redis.call('LPUSH', list, session_id)
local answer = redis.call('LRANGE', list, length, -1)
table.insert(answer, 1, ttl)
table.insert(answer, 2, fields)
redis.call('LTRIM', list, 0, length - 1)
redis.call('PEXPIRE', list, kept)
return answer
