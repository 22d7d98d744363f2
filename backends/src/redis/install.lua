-- `judge_install` of holdover-api, and the store.

local now = struct.unpack('<d', ARGV[1])
-- `over` is the expected head and its deadline, or empty.
local over, new = ARGV[2], ARGV[3]
local frame = stored()
local kind, deadline, lineage
local standing = ''
if frame then
  kind, deadline, lineage = open(frame)
  if not kind then return 'X' .. string.sub(frame, 1, 1) end
  if deadline <= now then frame = false else standing = string.sub(lineage, 1, 16) .. bytes_of(deadline) end
end
local new_kind, new_deadline, new_lineage = open(new)
if standing == over then
  put(now, new_deadline, new)
  return 'I'
end
if frame and kind == new_kind and lineage == new_lineage and deadline >= new_deadline then return 'I' end
return 'R' .. (frame or '')
