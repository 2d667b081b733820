-- Take back a sending that SendSms refused, and nothing else.
--
-- KEYS  1 session it was sent in   2 latest   3 cooldown   4 sent today   5 session that was the latest (or again 1)
--       6 idempotency key (or again 3)
-- ARGV  1 mark of the sending   2 session   3 session that was the latest, "" if none   4 what `until` was, "" if the
--       sending opened the session
-- Gives "undone" | "gone"
--
-- Where the record is gone, so is what the sending put on record. Where a later sending has used the session, its life
-- and its place as the latest are that one's.
if redis.replicate_commands then redis.replicate_commands() end

local session, latest, cooldown, today, idem = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]
local last = redis.call('HGET', session, 'mark')
if not last then return 'gone' end
if (tonumber(redis.call('GET', today) or 0) or 0) > 0 then redis.call('DECR', today) end
if last ~= ARGV[1] then return 'undone' end
if redis.call('GET', cooldown) == ARGV[1] then redis.call('DEL', cooldown) end
if ARGV[4] == '' then
  redis.call('DEL', session)
else
  redis.call('HSET', session, 'until', ARGV[4])
  redis.call('HDEL', session, 'mark')
end
if idem ~= cooldown and redis.call('GET', idem) == ARGV[2] then redis.call('DEL', idem) end
if redis.call('GET', latest) == ARGV[2] and ARGV[3] ~= ARGV[2] then
  local left = ARGV[3] ~= '' and redis.call('PTTL', KEYS[5]) or 0
  if left > 0 then
    redis.call('SET', latest, ARGV[3], 'PX', left)
  else
    redis.call('DEL', latest)
  end
end
return 'undone'
