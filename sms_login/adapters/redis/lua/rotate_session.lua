-- Replace a session's refresh token, which its count identifies; only the present one may be replaced.
--
-- KEYS  1 session   2 index of the number's sessions   3 user, if users are in this Redis
-- ARGV  1 session id   2 count of the token   3 ms after its own rotation in which a token is answered again
--       4 ms that the session lives without a refresh   5 ms that the index outlives its last session
--       6 "1" if the user is banned, without key 3
-- Gives {"rotated" | "repeated", user id, present count, ms until it ends unless it is used}
--       | {"ended"} | {"reused"}
--
-- The fields of both keys are explained in begin_session.lua. A token that comes later than 3 was copied, from here or
-- from the app: the session ends for both. A token ahead of the present count is ours too, and Redis has lost data: the
-- ages of those between are lost as well. After `most` rotations within 3, the present token is answered again, too, and
-- while the user is banned.
local most = 32
local session, index, record = unpack(KEYS)
local session_id = ARGV[1]
local asked, repeat_for, idle, kept = numbers_from(2)

if redis.call('HEXISTS', index, session_id) == 0 then return {'ended'} end
local user, count, left, ttl, recent = unpack(redis.call('HMGET', session, 'user', 'count', 'left', 'ttl', 'recent'))
count, left, ttl = tonumber(count), tonumber(left), tonumber(ttl)
if not (user and count and left and ttl) then return {'ended'} end

local remaining = redis.call('PTTL', session)
local since = ttl - remaining
local ages = {}  -- ms since the latest rotations: the n-th one replaced the token whose count is n less
for before in string.gmatch('0 ' .. (recent or ''), '%d+') do
  if since + before <= repeat_for then table.insert(ages, since + before) end
end
local repeated = ages[count - asked] or asked == count and #ages == most
if asked < count and not repeated then
  redis.call('DEL', session)
  drop_session(index, session_id, kept)
  return {'reused'}
end
local banned = ARGV[6] == '1' or (record and redis.call('HEXISTS', record, 'banned') == 1)
if repeated or banned then return {'repeated', user, count, remaining} end
left = left - since
ttl = math.min(idle, left)
recent = asked == count and table.concat(ages, ' ') or ''
redis.call('HSET', session, 'count', asked + 1, 'left', left, 'ttl', ttl, 'recent', recent)
redis.call('PEXPIRE', session, ttl)
lengthen(index, ttl)
return {'rotated', user, asked + 1, ttl}
