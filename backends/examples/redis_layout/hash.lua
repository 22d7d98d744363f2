-- One hash a session: the field 'm' holds deadline, created, size and lineage; 'a' and a name holds an attribute.
local now, moment, limit = struct.unpack('<ddd', ARGV[1])
local stamp = ARGV[2]
local meta = redis.call('HGET', KEYS[1], 'm')
if not meta then return 'G' end
local deadline, created, size = struct.unpack('<ddd', meta)
local lineage = string.sub(meta, 25)
if deadline <= now then return 'G' end
local known, before = find(lineage, stamp)
if known then return 'S' .. before end
if moment > deadline then deadline = moment end
local fields = {}
for at = 3, #ARGV, 2 do
  size = size - redis.call('HSTRLEN', KEYS[1], ARGV[at]) + #ARGV[at + 1]
  fields[#fields + 1] = ARGV[at]
  fields[#fields + 1] = ARGV[at + 1]
end
if size > limit then return 'L' end
meta = struct.pack('<ddd', deadline, created, size) .. stamp .. string.sub(lineage, 1, 112)
redis.call('HSET', KEYS[1], 'm', meta, unpack(fields))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', deadline))
return 'S' .. string.sub(lineage, 1, 16)
