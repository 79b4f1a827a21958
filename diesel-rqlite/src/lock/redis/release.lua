-- KEYS: the lock. ARGV: token.
-- Answers {1} to the holder, {0} if nobody holds it, {-1} if another does.
local holder = redis.call('GET', KEYS[1])
if not holder then
    return {0}
end
if holder ~= ARGV[1] then
    return {-1}
end
redis.call('DEL', KEYS[1])
return {1}
