-- KEYS: the lock, its last fence. ARGV: token, lease in ms.
-- Answers {1, fence} to the holder, {0, ms that the lease of another has left}.
local holder = redis.call('GET', KEYS[1])
local last = tonumber(redis.call('GET', KEYS[2]))
if holder and holder ~= ARGV[1] then
    return {0, redis.call('PTTL', KEYS[1])}
end
-- Asked again, since the first answer was lost: the same fence.
local fence = holder and last
if not fence then
    -- The clock keeps it rising where the last one has been lost. Microseconds are whole in a double until 2255.
    local time = redis.call('TIME')
    fence = math.max((last or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
    redis.call('SET', KEYS[2], string.format('%.0f', fence))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, fence}
