-- The client has merged: compare the head and set. The header is enough to compare.
local now, moment = struct.unpack('<dd', ARGV[1])
local stamp, expected, full = ARGV[2], ARGV[3], ARGV[4]
local header = redis.call('GETRANGE', KEYS[1], 0, 153)
if header == '' then return 'G' end
local version, kind = string.byte(header, 1, 2)
local lineage_bytes = number_at(header, 19)
if version ~= 1 or kind ~= RECORD then return 'X' end
local deadline = number_at(header, 3)
if deadline <= now then return 'G' end
local lineage = string.sub(header, 27, 26 + lineage_bytes)
local known, before = find(lineage, stamp)
if known then return 'S' .. before end
if string.sub(lineage, 1, 16) ~= expected then return 'C' .. redis.call('GET', KEYS[1]) end
if deadline > moment then
  full = string.sub(full, 1, 2) .. string.sub(header, 3, 10) .. string.sub(full, 11)
  moment = deadline
end
put(now, moment, full)
return 'S' .. expected
