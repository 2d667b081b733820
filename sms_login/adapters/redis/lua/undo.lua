-- Take back a sending that SendSms refused, or that nobody will make, and nothing else.
--
-- KEYS  1 session that it was to be sent in   2 new session that it may have been sent in instead (or again 1)
--       3 latest   4 cooldown   5 sent today   6 idempotency key (or again 4)
-- ARGV  1 mark of the sending   2 id of 1   3 id of 2
-- Gives "undone" | "verified", and a login was given its toll before | "gone"
--
-- The session is the one that has the sending's toll. Where it does not carry its mark any more, a later sending was made
-- in it meanwhile: then only what is counted is given back. The toll of a session that a login has spent stays: it may
-- have to make the code good again, and then the next login gives it back.
if redis.replicate_commands then redis.replicate_commands() end

local latest, cooldown, today, idem = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local key, session, toll = KEYS[1], ARGV[2], 'toll:' .. ARGV[1]
if redis.call('HGET', KEYS[2], toll) then key, session = KEYS[2], ARGV[3] end

local has = redis.call('HMGET', key, toll, 'mark', 'was', 'prev', 'back', 'login')
local last = has[2] == ARGV[1]
if not has[1] then return 'gone' end
if redis.call('GET', cooldown) == ARGV[1] then redis.call('DEL', cooldown) end
local sent = count_of(redis.call('GET', today))
if sent > 0 and sent < math.huge then redis.call('DECR', today) end
if idem ~= cooldown and redis.call('GET', idem) == session then redis.call('DEL', idem) end

local left = redis.call('PTTL', key)
local sends = redis.call('HINCRBY', key, 'sends', -1)
if not has[6] then redis.call('HDEL', key, toll) end
if sends < 1 then
  redis.call('DEL', key)
elseif last then
  if has[3] then redis.call('HSET', key, 'until', has[3]) end
  redis.call('HDEL', key, 'mark', 'was', 'prev', 'back')
end
if redis.call('GET', latest) == session then
  local prev_left = has[4] and left + (tonumber(has[5]) or -left) or 0
  if last and prev_left > 0 then
    redis.call('SET', latest, has[4], 'PX', prev_left)
  elseif sends < 1 then
    redis.call('DEL', latest)
  end
end
return has[6] and 'verified' or 'undone'
