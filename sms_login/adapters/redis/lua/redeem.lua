-- Compare a guess with a code: counted, compared and spent in one step, so that no two requests meet in between.
--
-- KEYS  1 challenge   2 failures in a row   3 index of the number's sessions
-- ARGV  1 field that counts the guess, "guesses" or "shared_guesses"   2 id of this login
--       3 its idempotency key, "" if none   4 its purpose, "" for a login
--       5 guesses allowed   6 failures that lock   7 life of the failures, ms   8 ms in which a login may be repeated
--       9... digests of the guess
-- Gives {"unknown" | "expired" | "spent"} | {"locked", ms} | {"wrong", guesses left, failures}
--       | {"right", this login, "1" if it was called, generation of the number's sessions, ms of the code's life left,
--          serial number or "", reservation of each sending...}
--       | {"repeat", login that spent the code, "1" if it was called, generation}
--
-- The fields of a challenge are explained in issue.lua. A user who has signed out everywhere since, or has deleted the
-- account, is not signed in by a repeat: the generation is another one then.
local challenge, failures, index = unpack(KEYS)
local field, login_id, login_key, purpose = unpack(ARGV)
local allowed, lock_at, failures_life, repeat_for = numbers_from(5)

local failed = redis.call('GET', failures)
if count_of(failed) >= lock_at then return {'locked', redis.call('PTTL', failures)} end
local left = redis.call('PTTL', challenge)
local its_purpose, digest, until_, guesses, login, old_key, spent_left, old_generation, holders =
  unpack(redis.call('HMGET', challenge, 'purpose', 'digest', 'until', field, 'login', 'login_key', 'spent_left',
    'generation', 'undoable_by'))
if left < 0 or (its_purpose or '') ~= purpose then return {'unknown'} end
local generation = redis.call('HGET', index, 'generation')
local since = count_of(spent_left) - left
local repeated = login and login_key ~= '' and old_key == login_key and since >= 0 and since <= repeat_for
repeated = repeated and old_generation == generation
if not repeated and life_of(left, until_) == 0 then return {'expired'} end
if login and not repeated then return {'spent'} end
local guessed = count_of(guesses)
if guessed >= allowed then return {'spent'} end

local right = false
for i = 9, #ARGV do right = right or ARGV[i] == digest end
if not right then
  redis.call('HINCRBY', challenge, field, 1)
  local count = redis.call('INCR', failures)
  redis.call('PEXPIRE', failures, failures_life)
  return {'wrong', allowed - guessed - 1, count}
end
local called, serial, reservations, all = '', '', {}, redis.call('HGETALL', challenge)
for i = 1, #all, 2 do
  local kind = string.sub(all[i], 1, 5)
  if all[i] == 'serial' then serial = all[i + 1] end
  if kind == 'took:' then table.insert(reservations, all[i + 1]) end
  if kind == 'call:' then called = '1' end
end
if repeated then
  -- This login may deliver a token as well: it must fail, too, before the code is valid again. Too many never are.
  if holders and #holders < 8192 then
    redis.call('HSET', challenge, 'undoable_by', holders .. login_id .. ' ')
  else
    redis.call('HDEL', challenge, 'undoable_by')
  end
  return {'repeat', login, called, generation or ''}
end
if not generation then
  generation = login_id
  redis.call('HSET', index, 'generation', generation)
end
lengthen(index, repeat_for + 1000)
redis.call('HSET', challenge, 'login', login_id, 'undoable_by', login_id .. ' ', 'spent_left', left,
  'login_key', login_key, 'generation', generation)
if failed then
  redis.call('HSET', challenge, 'failures', failed, 'failures_left', redis.call('PTTL', failures))
  redis.call('DEL', failures)
end
return {'right', login_id, called, generation, life_of(left, until_), serial, unpack(reservations)}
