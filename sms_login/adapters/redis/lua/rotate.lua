-- Replace a session's refresh token, which is known by its count; only the latest one may be replaced.
--
-- KEYS  1 session   2 generation of the number's sessions   3 list of them
-- ARGV  1 count of the token   2 ms in which the one before the latest is answered again   3 ms without being used
--       4 session
-- Gives {"rotated" | "again", user id, present count, ms until it ends unless it is used} | {"ended"} | {"reused"}
--
-- A token that comes back later was copied, here or from the app: the session ends for both. One that is ahead of us is
-- ours as well, and Redis has lost what it knew.
if redis.replicate_commands then redis.replicate_commands() end

local has = redis.call('HMGET', KEYS[1], 'user', 'generation', 'count', 'left', 'ttl')
local count, left, ttl = tonumber(has[3]), tonumber(has[4]), tonumber(has[5])
if not (has[1] and count and left and ttl) then return {'ended'} end
if has[2] ~= (redis.call('GET', KEYS[2]) or '0') then return {'ended'} end

local asked, remaining = tonumber(ARGV[1]), redis.call('PTTL', KEYS[1])
local since = ttl - remaining
if asked == count - 1 and since <= tonumber(ARGV[2]) then return {'again', has[1], count, remaining} end
if asked < count then
  redis.call('DEL', KEYS[1])
  redis.call('LREM', KEYS[3], 0, ARGV[4])
  return {'reused'}
end
left = left - since
ttl = math.min(tonumber(ARGV[3]), left)
redis.call('HSET', KEYS[1], 'count', asked + 1, 'left', left, 'ttl', ttl)
redis.call('PEXPIRE', KEYS[1], ttl)
return {'rotated', has[1], asked + 1, ttl}
