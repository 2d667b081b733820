-- Count down windows of a subject.
--
-- KEYS  1... windows, each once for every count that is refunded
-- Gives "done"
for _, key in ipairs(KEYS) do count_down(key) end
return 'done'
