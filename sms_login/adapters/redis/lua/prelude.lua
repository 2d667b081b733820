-- Stands before every script: how to read our own records.

-- Redis 4.0 to 6 otherwise refuse a write after a read that is not the same on every replica, such as PTTL.
if redis.replicate_commands then redis.replicate_commands() end

-- The arguments from the n-th on, as numbers.
local function numbers_from(n)
  local numbers = {}
  for i = n, #ARGV do numbers[i - n + 1] = tonumber(ARGV[i]) end
  return unpack(numbers)
end

-- The count in a value. A corrupt value reads as infinite, hence as full and as expired: it must neither open a limit
-- nor stop a script half-way.
local function count_of(value)
  if not value or value == '0' then return 0 end
  return #value < 16 and string.match(value, '^[1-9]%d*$') and tonumber(value) or math.huge
end

-- Count a key down: never below zero, and never a key that has expired.
local function count_down(key)
  local count = count_of(redis.call('GET', key))
  if count == 1 then redis.call('DEL', key) end
  if count > 1 and count < math.huge then redis.call('DECR', key) end
end

-- The ms for which a code still works, 0 if it has expired. `left` is the expiry of its challenge, `until_` its field.
local function life_of(left, until_)
  local ends = count_of(until_)  -- never 0: a challenge outlives its code
  return ends > 0 and left > ends and left - ends or 0
end

-- Lengthen the life of a key to `ms`. A longer life stays: others need it.
local function lengthen(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

-- The record of a user: {id, name, avatar, created, banned, last login, returned, moving, moved from}, each false if it
-- is not there.
local function record_of(user)
  return redis.call('HMGET', user, 'id', 'name', 'avatar', 'created', 'banned', 'last_login', 'returned', 'moving',
    'moved_from')
end

-- Sign in the user of a record, or sign one up under a new id; return the record, with the last login before this one.
-- A user who logs in `away` ms after the last login has returned, and their last login stays for as long again: until
-- then, each login says so.
local function sign_in(user, record, new_id, now, away)
  if not record[1] then
    record[1], record[2], record[3], record[4], record[6] = new_id, '', '', now, now
    redis.call('HSET', user, 'id', new_id, 'name', '', 'avatar', '', 'created', now, 'last_login', now)
    return record
  end
  local last, returned = record[6] or now, record[7] or now
  if record[5] or record[8] then return record end
  away = tonumber(away)
  if away > 0 and now - count_of(last) >= away and now - count_of(returned) < away then
    redis.call('HSET', user, 'returned', returned)
    record[7] = returned
  else
    redis.call('HSET', user, 'last_login', now)
    if record[7] then redis.call('HDEL', user, 'returned') end
    record[7] = false
  end
  return record
end

-- Sign a user in who comes from another number, if this one is free or theirs already; return the record of the number's
-- user, {} if the change cannot go on. The arguments are those of take_number.lua.
local function take_number(user, cancelled, user_id, now, away, old, name, avatar, created, banned, last_login, returned)
  local id = redis.call('HGET', user, 'id')
  if id and id ~= user_id then return record_of(user) end
  if not id then
    if created == '' or banned ~= '' or redis.call('EXISTS', cancelled) == 1 then return {} end
    redis.call('HSET', user, 'id', user_id, 'name', name, 'avatar', avatar, 'created', created,
      'last_login', last_login, 'moved_from', old)
    if returned ~= '' then redis.call('HSET', user, 'returned', returned) end
  end
  return sign_in(user, record_of(user), user_id, now, away)
end

-- The ids of the sessions in an index, and how many there are.
local function ids_in(index)
  local ids = {}
  for _, field in ipairs(redis.call('HKEYS', index)) do
    if field ~= 'generation' and field ~= 'owner' and field ~= 'last' then table.insert(ids, field) end
  end
  return ids
end
local function sessions_in(index) return redis.call('HLEN', index) - 3 end

-- The id of a session's user, nil if the session has ended.
local function owner_of(session, index, session_id)
  if redis.call('HEXISTS', index, session_id) == 0 then return nil end
  return redis.call('HGET', session, 'user') or nil
end

-- End a session in an index. An index without sessions is kept for `kept` ms, for redeem.lua.
local function drop_session(index, session_id, kept)
  redis.call('HDEL', index, session_id)
  if redis.call('PTTL', index) > kept and sessions_in(index) == 0 then redis.call('PEXPIRE', index, kept) end
end
