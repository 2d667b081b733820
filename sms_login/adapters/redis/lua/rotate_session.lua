-- Replace a session's refresh token, which its count identifies; only the present one may be replaced.
--
-- KEYS  1 session   2 generation of the number's sessions   3 list of them
-- ARGV  1 session id   2 count of the token   3 ms in which the previous token is answered again
--       4 ms that the session lives without a refresh
-- Gives {"rotated" | "repeated", user id, present count, ms until it ends unless it is used} | {"ended"} | {"reused"}
--
-- The fields of a session are explained in begin_session.lua. A token that comes later than 3 was copied, from here or
-- from the app: the session ends for both. A token ahead of the present count is ours too, and Redis has lost data.
if redis.replicate_commands then redis.replicate_commands() end

local session, generation_key, list = unpack(KEYS)
local session_id = ARGV[1]
local asked, repeat_for, idle = numbers_from(2)

local user, generation, count, left, ttl =
  unpack(redis.call('HMGET', session, 'user', 'generation', 'count', 'left', 'ttl'))
count, left, ttl = tonumber(count), tonumber(left), tonumber(ttl)
if not (user and count and left and ttl) then return {'ended'} end
if generation ~= generation_of(generation_key) then return {'ended'} end

local remaining = redis.call('PTTL', session)
local since = ttl - remaining
if asked == count - 1 and since <= repeat_for then return {'repeated', user, count, remaining} end
if asked < count then
  redis.call('DEL', session)
  redis.call('LREM', list, 0, session_id)
  return {'reused'}
end
left = left - since
ttl = math.min(idle, left)
redis.call('HSET', session, 'count', asked + 1, 'left', left, 'ttl', ttl)
redis.call('PEXPIRE', session, ttl)
return {'rotated', user, asked + 1, ttl}
