-- May a code be sent to this number, in which session? Asked twice: to look (nothing is written), and to record.
--
-- KEYS  1 session asked for (or again 2)  2 new session  3 latest  4 cooldown  5 sent today  6 failures
--       7 idempotency key (or again 4)
-- ARGV  1 "look" or "record"   2 session asked for, "" if none   3 new session
--       4 stale: a session that the idempotency key may name and that does not count, "" if none
--       5 "1" if an idempotency key is given   6 life, ms   7 life of the record, ms   8 part of 7 beyond any life, ms
--       9 guesses per code   10 failures that lock   11 sendings per day   12 left of the day, ms   13 cooldown, ms
--       14 nonce   15 digest   16 mark of this sending   17 its toll: what it took from the budgets
-- Gives {"repeat", session, ms of cooldown} | {"locked" | "daily" | "cooldown", ms to wait}
--       | {"new", sent today} | {"same", sent today, nonce, digest}
--
-- A session is a hash that lives for its whole ten minutes and a tail, and never longer: no call moves its expiry.
-- Its field `until` is the remaining time, in ms of that expiry, at which the code stops working. So Redis's own clock
-- is the only one, and a guess cannot lengthen a life.
--
-- What undo.lua needs is kept in the session too, since the answer to this script may be lost: `sends` that were not
-- taken back, and of the last of them its `mark`, what `until` `was`, and which session was the latest in `prev`, with
-- `back`, the ms that it had left beyond this one. `toll:<mark>` is what each sending took, for a login to give back.
if redis.replicate_commands then redis.replicate_commands() end

local asked, latest, cooldown, today, failures, idem = KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local life, record_life, tail = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local guesses = tonumber(ARGV[9])

local function below(key, limit) return count_of(redis.call('GET', key)) < tonumber(limit) end

if ARGV[5] == '1' then
  local session = redis.call('GET', idem)
  if session and session ~= ARGV[4] then return {'repeat', session, redis.call('PTTL', cooldown)} end
end
if not below(failures, ARGV[10]) then return {'locked', redis.call('PTTL', failures)} end
if not below(today, ARGV[11]) then return {'daily', redis.call('PTTL', today)} end
local wait = redis.call('PTTL', cooldown)
if wait ~= -2 then return {'cooldown', wait} end

-- The session asked for is sent again if its code is alive, guessable, and old enough to leave room for a whole life.
local sent = count_of(redis.call('GET', today))
local answer = {'new', sent}
local session, key, until_ = ARGV[3], KEYS[2], record_life - life
local was
if ARGV[2] ~= '' then
  local left = redis.call('PTTL', asked)
  local has = redis.call('HMGET', asked, 'nonce', 'digest', 'until', 'wrong', 'login')
  local alive = has[1] and has[2] and has[3] and left > count_of(has[3]) and not has[5]
  if alive and count_of(has[4]) < guesses and left - life >= tail then
    answer, was = {'same', sent, has[1], has[2]}, has[3]
    session, key, until_, record_life = ARGV[2], asked, left - life, left
  end
end
if ARGV[1] == 'look' then return answer end

redis.call('HSET', key, 'until', until_, 'mark', ARGV[16], 'toll:' .. ARGV[16], ARGV[17])
redis.call('HINCRBY', key, 'sends', 1)
redis.call('HDEL', key, 'was', 'prev', 'back')
if was then
  redis.call('HSET', key, 'was', was)
else
  redis.call('HSET', key, 'nonce', ARGV[14], 'digest', ARGV[15])
  redis.call('PEXPIRE', key, record_life)
end
local prev = redis.call('GET', latest)
if prev and prev ~= session then
  redis.call('HSET', key, 'prev', prev, 'back', redis.call('PTTL', latest) - record_life)
end
redis.call('SET', latest, session, 'PX', record_life)
redis.call('SET', cooldown, ARGV[16], 'PX', ARGV[13])
redis.call('INCR', today)
redis.call('PEXPIRE', today, ARGV[12])
if ARGV[5] == '1' then redis.call('SET', idem, session, 'PX', record_life) end
return answer
