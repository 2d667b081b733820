-- Hold a guess against a code: counted, compared and spent in one step, so that no two requests meet in between.
--
-- KEYS  1 session   2 failures in a row of the number   3 generation of the number's sign-ins, see lua/begin.lua
-- ARGV  1 field that counts the guess: "wrong", or "open" for all who have no session   2 guesses allowed in it
--       3 failures that lock   4 life of the count of failures, ms   5 this login   6 idempotency key, "" if none
--       7 how long a login may be repeated, ms   8... digests of the guess
-- Gives {"unknown" | "expired" | "spent"} | {"locked", ms} | {"wrong", guesses left, failures}
--       | {"right", this login, toll of each of the session's sendings...} | {"repeat", login that spent the code}
--
-- A spent code keeps in `login` who spent it, in `undo` who may give it back, in `spent` the ms that were left then, in
-- `key` its idempotency key, and in `failures` and `lock` what it cleared, so that giving it back restores them. Who has
-- signed out everywhere since, or deleted the account, is not signed in again by a repeat: `generation` is another then.
if redis.replicate_commands then redis.replicate_commands() end

local session, failures = KEYS[1], KEYS[2]
local allowed = tonumber(ARGV[2])

local failed = redis.call('GET', failures)
if count_of(failed) >= tonumber(ARGV[3]) then return {'locked', redis.call('PTTL', failures)} end
local left = redis.call('PTTL', session)
if left < 0 then return {'unknown'} end
local was = redis.call('HMGET', session, 'digest', 'until', ARGV[1], 'login', 'key', 'spent', 'generation')
local generation = redis.call('GET', KEYS[3]) or '0'
local since = count_of(was[6]) - left
local again = was[4] and ARGV[6] ~= '' and was[5] == ARGV[6] and since >= 0 and since <= tonumber(ARGV[7])
again = again and was[7] == generation
local ends = count_of(was[2])  -- never at nothing: a record outlives its code
if not again and not (ends > 0 and left > ends) then return {'expired'} end
if was[4] and not again then return {'spent'} end
local wrong = count_of(was[3])
if wrong >= allowed then return {'spent'} end

local right = false
for i = 8, #ARGV do right = right or ARGV[i] == was[1] end
if not right then
  redis.call('HINCRBY', session, ARGV[1], 1)
  local count = redis.call('INCR', failures)
  redis.call('PEXPIRE', failures, ARGV[4])
  return {'wrong', allowed - wrong - 1, count}
end
if again then
  -- Two requests now hold tokens of this login, or will: neither may give the code back any more.
  redis.call('HDEL', session, 'undo')
  return {'repeat', was[4]}
end
redis.call('HSET', session, 'login', ARGV[5], 'undo', ARGV[5], 'spent', left, 'key', ARGV[6], 'generation', generation)
if failed then
  redis.call('HSET', session, 'failures', failed, 'lock', redis.call('PTTL', failures))
  redis.call('DEL', failures)
end
local answer = {'right', ARGV[5]}
local all = redis.call('HGETALL', session)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 5) == 'toll:' then table.insert(answer, all[i + 1]) end
end
return answer
