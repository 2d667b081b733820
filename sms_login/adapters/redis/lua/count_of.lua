-- What stands before every script: how to read a number of ours. What is not one counts as endless, and so as full and
-- as over, whatever broke it: it must not open a gate, nor stop a script half-way.
local function count_of(value)
  if not value or value == '0' then return 0 end
  return #value < 16 and string.match(value, '^[1-9]%d*$') and tonumber(value) or math.huge
end
