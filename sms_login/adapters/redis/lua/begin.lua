-- Begin the session of somebody who has just logged in.
--
-- KEYS  1 session   2 generation of the number's sessions   3 list of them   4 whose they are
-- ARGV  1 user id   2 ms that it lives without being used   3 ms that it lives at most   4 session   5 length of the list
--       6 ms that keys 2 to 4 are kept: no session lives longer, whatever the settings were
-- Gives {ms until it ends unless it is used, sessions that are too many...}
--
-- `count` counts rotations, `left` is what was left at the last one of the longest life, in ms, and `ttl` the expiry that
-- was set then: so Redis's own expiry tells how long ago it was. Sessions of an older generation have been ended all at
-- once; so have those of an earlier user of the number.
local idle, most, kept, length = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[5])
local ttl = math.min(idle, most)
local owner = redis.call('GET', KEYS[4])
if owner and owner ~= ARGV[1] then redis.call('INCR', KEYS[2]) end
redis.call('SET', KEYS[4], ARGV[1], 'PX', kept)
redis.call('PEXPIRE', KEYS[2], kept)
local generation = redis.call('GET', KEYS[2]) or '0'
redis.call('HSET', KEYS[1], 'user', ARGV[1], 'generation', generation, 'count', 1, 'left', most, 'ttl', ttl)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('LPUSH', KEYS[3], ARGV[4])
local answer = redis.call('LRANGE', KEYS[3], length, -1)
table.insert(answer, 1, ttl)
redis.call('LTRIM', KEYS[3], 0, length - 1)
redis.call('PEXPIRE', KEYS[3], kept)
return answer
