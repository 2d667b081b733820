-- Count down windows of a subject.
--
-- KEYS  1... windows, each as often as it is to be counted down
-- Gives "done"
--
-- A window that has ended has no key, and gets none. One that is down to nothing has none either.
for _, key in ipairs(KEYS) do
  local count = count_of(redis.call('GET', key))
  if count == 1 then redis.call('DEL', key) end
  if count > 1 and count < math.huge then redis.call('DECR', key) end
end
return 'done'
