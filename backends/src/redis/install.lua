-- `judge_install` of holdover-api, and the store.

local now = struct.unpack('<d', ARGV[1])
local over, new = ARGV[2], ARGV[3]
local frame = redis.call('GET', KEYS[1])
local kind, deadline, lineage
local head = ''
if frame then
  kind, deadline, lineage = open(frame)
  if not kind then return 'X' .. string.sub(frame, 1, 1) end
  if deadline <= now then frame = false else head = string.sub(lineage, 1, 16) end
end
local new_kind, new_deadline, new_lineage = open(new)
if head == over then
  put(now, new_deadline, new)
  return 'I'
end
if frame and kind == new_kind and lineage == new_lineage then return 'I' end
return 'R' .. (frame or '')
