-- Take back a sending that SendSms refused or that will not be made, and nothing else.
--
-- KEYS  1 challenge that was requested (or again 2)   2 new challenge that may have been opened instead   3 latest
--       4 cooldown   5 sent today   6 idempotency key (or again 4)
-- ARGV  1 id of the sending   2 id of 1   3 id of 2
-- Gives "undone" | "verified": a login has refunded the reservation before | "gone"
--
-- The challenge is the one that holds the sending's reservation. If the sending is no longer its last one, only the
-- counts are given back. The reservation stays in a challenge that a login has spent: if that login gives the code back,
-- the next one refunds it, or finds it empty because it is refunded already.
if redis.replicate_commands then redis.replicate_commands() end

local challenge, new, latest, cooldown, today, idempotency = unpack(KEYS)
local sending_id, id, new_id = unpack(ARGV)
local took = 'took:' .. sending_id
if redis.call('HGET', new, took) then challenge, id = new, new_id end

local reservation, last, prev_until, prev, prev_ms, login =
  unpack(redis.call('HMGET', challenge, took, 'last', 'prev_until', 'prev', 'prev_ms', 'login'))
local is_last = last == sending_id
if not reservation then return 'gone' end
if redis.call('GET', cooldown) == sending_id then redis.call('DEL', cooldown) end
count_down(today)
if idempotency ~= cooldown and redis.call('GET', idempotency) == id then redis.call('DEL', idempotency) end

local left = redis.call('PTTL', challenge)
local sends = redis.call('HINCRBY', challenge, 'sends', -1)
if not login then redis.call('HDEL', challenge, took) end
if sends < 1 then
  redis.call('DEL', challenge)
elseif is_last then
  if prev_until then redis.call('HSET', challenge, 'until', prev_until) end
  redis.call('HDEL', challenge, 'last', 'prev_until', 'prev', 'prev_ms')
end
if redis.call('GET', latest) == id then
  local latest_left = prev and left + (tonumber(prev_ms) or -left) or 0
  if is_last and latest_left > 0 then
    redis.call('SET', latest, prev, 'PX', latest_left)
  elseif sends < 1 then
    redis.call('DEL', latest)
  end
end
return (login or reservation == '') and 'verified' or 'undone'
