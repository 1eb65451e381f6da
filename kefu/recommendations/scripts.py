"""What Redis does in one go. Keys are all given, so that a Redis Cluster knows where to run it."""

from typing import Final

from kefu.storage.redis_calls import Script

# KEYS: the stream, n `seen` keys, n `pace` keys. ARGV: seconds a view is remembered, views in a
# minute, seconds a pace is kept, n views packed. Answers of each: 0 written, 1 seen, 2 too many.
RECORD: Final = Script("""
local count = (#KEYS - 1) / 2
local written, outcomes = {}, {}
for i = 1, count do
    local seen, pace = KEYS[1 + i], KEYS[1 + count + i]
    if not redis.call('SET', seen, '', 'NX', 'EX', ARGV[1]) then
        outcomes[i] = 1
    else
        local views = redis.call('INCR', pace)
        if views == 1 then redis.call('EXPIRE', pace, ARGV[3]) end
        if views > tonumber(ARGV[2]) then
            redis.call('DEL', seen)
            outcomes[i] = 2
        else
            written[#written + 1] = string.sub(ARGV[4], 24 * i - 23, 24 * i)
            outcomes[i] = 0
        end
    end
end
if #written > 0 then redis.call('XADD', KEYS[1], '*', 'views', table.concat(written)) end
return outcomes
""")

# KEYS: the stream, the `joined` key. ARGV: seconds it is remembered; guest, customer,
# and a byte that says whether the latter is a guest, too.
JOIN: Final = Script("""
if not redis.call('SET', KEYS[2], '', 'NX', 'EX', ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'join', ARGV[2])
return 1
""")

# KEYS: streams. ARGV: entries of one stream at most, bytes at which to stop, a position for each
# stream. Answers whether there is more, and for each stream with news: its place in KEYS, the last
# id, its views in one piece, its joins.
READ: Final = """
local most, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local has_more, found = 0, {}
for i, key in ipairs(KEYS) do
    if room <= 0 then
        has_more = 1
        break
    end
    local entries = redis.call('XRANGE', key, '(' .. ARGV[2 + i], '+', 'COUNT', most)
    if #entries == most then has_more = 1 end
    if #entries > 0 then
        local views, joins = {}, {}
        for _, entry in ipairs(entries) do
            local kind, value = entry[2][1], entry[2][2]
            room = room - #value
            if kind == 'views' and #value % 24 == 0 then views[#views + 1] = value end
            if kind == 'join' and #value == 33 then joins[#joins + 1] = value end
        end
        found[#found + 1] = {i - 1, entries[#entries][1], table.concat(views), joins}
    end
end
return {has_more, found}
"""

# KEYS: streams. The last id each has given, 0-0 for one that is not there.
HEADS: Final = """
local heads = {}
for i, key in ipairs(KEYS) do
    heads[i] = '0-0'
    if redis.call('EXISTS', key) == 1 then
        local told = redis.call('XINFO', 'STREAM', key)
        for j = 1, #told, 2 do
            if told[j] == 'last-generated-id' then heads[i] = told[j + 1] end
        end
    end
end
return heads
"""
