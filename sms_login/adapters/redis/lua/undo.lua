-- Take back a sending that SendSms refused or that will not be made, and nothing else.
--
-- KEYS  1 challenge that was requested (or again 2)   2 new challenge that may have been opened instead   3 latest
--       4 cooldown   5 sent today   6 idempotency key (or again 4)
-- ARGV  1 id of the sending   2 id of 1   3 id of 2
-- Gives "undone" | "verified": a login has refunded the reservation before | "gone"
--
-- The fields of a challenge are explained in issue.lua. A challenge goes with its last sending, unless a login has spent
-- it: that login may be repeated. Its reservation stays, too: if the login gives the code back, the next one refunds it.
local challenge, new, latest, cooldown, today, idempotency = unpack(KEYS)
local sending_id, id, new_id = unpack(ARGV)
local undone_until = 'until:' .. sending_id
if redis.call('HGET', new, undone_until) then challenge, id = new, new_id end

local fields = redis.call('HGETALL', challenge)
local stands, login, refunded, until_ = false, false, false, nil
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  if name == undone_until then
    stands = true
  elseif string.sub(name, 1, 6) == 'until:' and not (until_ and count_of(until_) < count_of(value)) then
    until_ = value
  end
  login = login or name == 'login'
  refunded = refunded or (name == 'took:' .. sending_id and value == '')
end
-- A requested challenge that is gone as a whole was spent to delete the account, and then forgotten.
if not stands then return #fields == 0 and challenge ~= new and 'verified' or 'gone' end
local left = redis.call('PTTL', latest)
if redis.call('GET', cooldown) == sending_id then redis.call('DEL', cooldown) end
count_down(today)
if idempotency ~= cooldown and redis.call('GET', idempotency) == id then redis.call('DEL', idempotency) end

redis.call('HDEL', challenge, undone_until, 'call:' .. sending_id)
if until_ then redis.call('HSET', challenge, 'until', until_) end
if not login then redis.call('HDEL', challenge, 'took:' .. sending_id) end
if login and not until_ then return 'verified' end
if not until_ then redis.call('DEL', challenge) end
local others = {}
for sending in string.gmatch(redis.call('GET', latest) or '', '%S+') do
  if sending ~= id .. ':' .. sending_id then table.insert(others, sending) end
end
if #others > 0 and left > 0 then
  redis.call('SET', latest, table.concat(others, ' '), 'PX', left)
else
  redis.call('DEL', latest)
end
return (login or refunded) and 'verified' or 'undone'
