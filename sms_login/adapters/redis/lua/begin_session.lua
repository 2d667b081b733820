-- Begin the session of a user who has just logged in.
--
-- KEYS  1 session   2 index of the number's sessions   3 user, to be signed in, if users are in this Redis
--       4 mark of a cancelled change, if the user comes from another number
-- ARGV  1 user id, or with key 3 the id for a new user   2 session id   3 ms that it lives without a refresh
--       4 ms that it lives at most   5 sessions that a number may have
--       6 now, epoch ms, with key 3   7 ms without a login after which a user returns, 0 for never, with key 3
--       8... with key 4: the arguments of take_number.lua from the fourth on; with key 3 alone: generation of the
--       number's sessions when the code was redeemed, "" if it is not known
-- Gives {ms until it ends unless it is used, the user's record or {}, ids of sessions that have ended for it, to be
--       deleted...} | {0, the record} if none begins: the user is banned, is about to change the number, or is not the
--       one who comes from another number | {0, {}} if that change cannot go on, or if this login would sign a user up
--       although all sessions have ended since its code was redeemed
--
-- A session is a hash:
--   user         id of its user
--   count        of its refresh token: 1, and one more at each rotation
--   left         ms of its longest life that were left at the last rotation
--   ttl          the expiry that was set then: the present one tells how long ago it was
--   recent       ms from each rotation shortly before the last one to the last one, latest first
-- It lives while it is in the index, which is a hash, too, and expires with the last session:
--   <session id> serial number of a session
--   last         serial number of the latest one
--   owner        id of their user: if another user owned the number before, the sessions of that one end
--   generation   another one whenever all sessions have ended; redeem.lua begins one. A user is named after the login
--                that signs them up, so a repeat of it must not bring one back who has left the number since
local session, index, user = unpack(KEYS)
local user_id, session_id = unpack(ARGV)
local idle, most, allowed = numbers_from(3)

local owner, last, generation = unpack(redis.call('HMGET', index, 'owner', 'last', 'generation'))
local record = {}
if KEYS[4] then
  record = take_number(user, KEYS[4], user_id, unpack(ARGV, 6))
  if record[1] ~= user_id then return {0, record} end
elseif user then
  record = record_of(user)
  if not record[1] and ARGV[8] ~= '' and ARGV[8] ~= generation then return {0, {}} end
  record = sign_in(user, record, user_id, ARGV[6], ARGV[7])
end
if record[5] or record[8] then return {0, record} end
user_id = record[1] or user_id
local ttl = math.min(idle, most)
local answer = {ttl, record}
if owner and owner ~= user_id then
  for _, id in ipairs(ids_in(index)) do table.insert(answer, id) end
  redis.call('DEL', index)
  generation = nil
end
local serial = count_of(last) + 1
redis.call('HSET', index, 'owner', user_id, 'last', serial, 'generation', generation or session_id, session_id, serial)
lengthen(index, ttl)
redis.call('HSET', session, 'user', user_id, 'count', 1, 'left', most, 'ttl', ttl)
redis.call('PEXPIRE', session, ttl)

if sessions_in(index) > allowed then
  local ids, serials = ids_in(index), {}
  for i, serial in ipairs(redis.call('HMGET', index, unpack(ids))) do serials[ids[i]] = count_of(serial) end
  table.sort(ids, function(a, b) return serials[a] < serials[b] end)
  for i = 1, #ids - allowed do
    redis.call('HDEL', index, ids[i])
    table.insert(answer, ids[i])
  end
end
return answer
