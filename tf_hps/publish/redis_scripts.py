"""What Redis executes whole when a commit is published (docs/formats.md, "A stream in Redis")."""

# A part of a commit that is too large for one entry. Nobody sees it before the commit is there; one
# that comes late, when the commit is, is passed over.
# KEYS: publishers, parts. ARGV: publisher, number of its next frame after the commit, part, bytes,
# seconds until it is forgotten.
STAGE = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and tonumber(string.match(known, '^%d+')) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1
"""

# The commit itself, once however often it is asked for; then what nobody needs any more goes.
# KEYS: stream, head, readers, publishers, sizes, and parts where there are some.
# ARGV: a name for the stream if it is new, publisher, number of its first frame and of the one after
# the last, number of parts, bytes, the frames where there are no parts, milliseconds that a commit
# stays at least, bytes that all may have, milliseconds after which a silent reader is given up.
COMMIT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local publisher, first, after, parts = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])

local known = redis.call('HGET', KEYS[4], publisher)
local expected, at = 0, nil
if known then expected, at = string.match(known, '^(%d+) (%d+)$') end
local lineage = redis.call('HGET', KEYS[2], 'lineage')
if at and expected == after then return {'there', lineage, at, 0, 0} end
if first > tonumber(expected) then return {'gap', lineage or '', tostring(expected), 0, 0} end
if parts > 0 and redis.call('HLEN', KEYS[6]) ~= parts then
  return {'incomplete', lineage or '', '0', 0, 0}
end

if not lineage then
  lineage = ARGV[1]
  redis.call('HSET', KEYS[2], 'lineage', lineage, 'last', 0, 'first', 1, 'bytes', 0, 'dropped', 0)
end
local n = redis.call('HINCRBY', KEYS[2], 'last', 1)
local number = string.format('%.0f', n)
if parts > 0 then
  redis.call('XADD', KEYS[1], number .. '-0', 'l', lineage, 'p', KEYS[6], 'c', ARGV[5])
  redis.call('PERSIST', KEYS[6])
  redis.call('RPUSH', KEYS[5], string.format('%.0f', now) .. ' ' .. ARGV[6] .. ' ' .. KEYS[6])
else
  redis.call('XADD', KEYS[1], number .. '-0', 'l', lineage, 'f', ARGV[7])
  redis.call('RPUSH', KEYS[5], string.format('%.0f', now) .. ' ' .. ARGV[6] .. ' ')
end
redis.call('HSET', KEYS[4], publisher, after .. ' ' .. number)

-- How far the readers are that were heard of lately.
local slowest, waits = nil, 0
local readers = redis.call('HGETALL', KEYS[3])
for i = 1, #readers, 2 do
  local of, read, heard = string.match(readers[i + 1], '^(%S+) (%d+) (%d+)$')
  if now - tonumber(heard) > tonumber(ARGV[10]) then
    redis.call('HDEL', KEYS[3], readers[i])
  elseif of == lineage and (not slowest or tonumber(read) < slowest) then
    slowest = tonumber(read)
  end
end

local total = redis.call('HINCRBY', KEYS[2], 'bytes', ARGV[6])
local oldest, dropped = tonumber(redis.call('HGET', KEYS[2], 'first')), 0
local began = oldest
while oldest < n do
  local time, bytes, staged = string.match(redis.call('LINDEX', KEYS[5], 0), '^(%d+) (%d+) (.*)$')
  local unread = slowest and oldest > slowest
  local is_old = now - tonumber(time) >= tonumber(ARGV[8]) and not unread
  if not is_old and total <= tonumber(ARGV[9]) then break end
  if unread then dropped = dropped + 1 end
  redis.call('LPOP', KEYS[5])
  if staged ~= '' then redis.call('UNLINK', staged) end
  total, oldest = total - tonumber(bytes), oldest + 1
end
if oldest > began then
  redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', oldest) .. '-0')
  redis.call('HSET', KEYS[2], 'first', string.format('%.0f', oldest), 'bytes',
             string.format('%.0f', total))
  redis.call('HINCRBY', KEYS[2], 'dropped', dropped)
end
return {'written', lineage, number, dropped, oldest - began}
"""
