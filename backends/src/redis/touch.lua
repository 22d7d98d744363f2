-- `judge_touch` of holdover-api, and the store: the deadline is patched in place, nothing else is written.

local now, moment = struct.unpack('<dd', ARGV[1])
-- The deadline stands at the same place in every version.
local frame = stored()
if not frame then return 'N' end
local kind, deadline, lineage = open(frame)
if not kind or not keep(frame, #lineage) then return 'X' .. string.sub(frame, 1, 1) end
if kind == TOMBSTONE or deadline <= now then return 'N' end
if moment > deadline then
  redis.call('SETRANGE', KEYS[1], 2, bytes_of(moment))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', moment))
end
return 'Y'
