-- Decide whether a code may be sent to a number, and in which challenge; record the sending unless it is a dry run.
--
-- KEYS  1 requested challenge (or again 2)   2 new challenge   3 latest   4 cooldown   5 sent today
--       6 failures in a row   7 idempotency key (or again 4)
-- ARGV  1 "check" (a dry run) or "issue"   2 id of the requested challenge, "" if none   3 id of the new challenge
--       4 id of a challenge that the idempotency key may name although it is over, "" if none
--       5 "1" if an idempotency key is given   6 nonce   7 digest   8 purpose, "" for a login   9 id of the sending
--       10 its reservation   11 "1" for a voice call   12 life of a code, ms   13 life of the record, ms
--       14 part of 13 beyond any life, ms   15 guesses per code   16 failures that lock   17 sendings per day
--       18 rest of the day, ms   19 cooldown, ms
-- Gives {"repeat", challenge id, ms of cooldown} | {"locked" | "daily limit" | "cooldown", ms to wait}
--       | {"new", sent today} | {"resend", sent today, nonce, digest}
--
-- A challenge is a hash that lives for its ten minutes and a tail: no call moves its expiry, so Redis's clock is the
-- only one, and a guess cannot lengthen a life. Its fields:
--   nonce, digest         of its code
--   purpose               that it was opened for, under which alone it exists; not for a login
--   until                 the code stops working when the challenge has this many ms left
--   guesses               wrong guesses with its id
--   shared_guesses        wrong guesses of logins without a sessionId
--   until:<sending id>    `until` as this sending set it: `until` is that of the last sending that was not undone
--   took:<sending id>     the sending's reservation, for a login to refund
--   call:<sending id>     1 if the sending is a voice call
--   serial                serial number of the latest message, if conversions are reported
--   login                 id of the login that spent the code, and for unredeem.lua:
--   undoable_by           ids of the login and its repeats that have not failed: if all fail, the code is valid again
--   failures              failures in a row that it cleared
--   failures_left         their expiry, ms
--   spent_left            ms that the challenge had left when it was spent
--   login_key             the idempotency key of that login
--   generation            of the number's sessions at that login
--
-- The latest sendings of a number are kept as <challenge id>:<sending id>, separated by spaces, the latest first.
local requested, new, latest, cooldown, today, failures, idempotency = unpack(KEYS)
local mode, requested_id, new_id, stale_id, has_key, new_nonce, new_digest, purpose, sending_id, reservation, call =
  unpack(ARGV)
local life, record_life, tail, max_guesses, lock_at, daily, day_left, cooldown_ms = numbers_from(12)

if has_key == '1' then
  local answered = redis.call('GET', idempotency)
  if answered and answered ~= stale_id then return {'repeat', answered, redis.call('PTTL', cooldown)} end
end
if count_of(redis.call('GET', failures)) >= lock_at then return {'locked', redis.call('PTTL', failures)} end
local sent = count_of(redis.call('GET', today))
if sent >= daily then return {'daily limit', redis.call('PTTL', today)} end
local wait = redis.call('PTTL', cooldown)
if wait ~= -2 then return {'cooldown', wait} end

-- The requested challenge is sent again if it is of this purpose, its code works, has guesses left, and leaves room for
-- a whole life.
local answer = {'new', sent}
local challenge, id, until_ = new, new_id, record_life - life
if requested_id ~= '' then
  local left = redis.call('PTTL', requested)
  local nonce, digest, its_purpose, old_until, guesses, login =
    unpack(redis.call('HMGET', requested, 'nonce', 'digest', 'purpose', 'until', 'guesses', 'login'))
  local works = nonce and digest and (its_purpose or '') == purpose and life_of(left, old_until) > 0 and not login
  if works and count_of(guesses) < max_guesses and left - life >= tail then
    answer = {'resend', sent, nonce, digest}
    challenge, id, until_, record_life = requested, requested_id, left - life, left
  end
end
if mode == 'check' then return answer end

redis.call('HSET', challenge, 'until', until_, 'until:' .. sending_id, until_, 'took:' .. sending_id, reservation)
if call == '1' then redis.call('HSET', challenge, 'call:' .. sending_id, 1) end
if challenge == new then
  redis.call('HSET', challenge, 'nonce', new_nonce, 'digest', new_digest)
  if purpose ~= '' then redis.call('HSET', challenge, 'purpose', purpose) end
  redis.call('PEXPIRE', challenge, record_life)
end
local sendings, latest_life = id .. ':' .. sending_id, record_life
local earlier = redis.call('GET', latest)
if earlier then
  -- The sendings of ten minutes are fewer than 500 bytes can hold, unless the cooldown is very short.
  if #earlier > 500 then earlier = string.match(string.sub(earlier, 1, 500), '^(.*) ') or '' end
  sendings = sendings .. ' ' .. earlier
  latest_life = math.max(record_life, redis.call('PTTL', latest))
end
redis.call('SET', latest, sendings, 'PX', latest_life)
redis.call('SET', cooldown, sending_id, 'PX', cooldown_ms)
redis.call('INCR', today)
redis.call('PEXPIRE', today, day_left)
if has_key == '1' then redis.call('SET', idempotency, id, 'PX', record_life) end
return answer
