-- `judge` of holdover-api, and the store. ARGV and the answers are described in script.rs.

local now, moment, limit, added_bytes, added, flags, stamp, expected, created =
  struct.unpack('<dddddc3c16c16c8', ARGV[1])
local on, exactly, clear = string.sub(flags, 1, 1), string.sub(flags, 2, 2) == '=', string.sub(flags, 3, 3) == 'c'
local added_frame, merged = ARGV[2], ARGV[3]

-- The client has merged already. If what is live here is what it merged into (as old, with the same stamps, as far as
-- the new lineage remembers), then it is all done.
if merged ~= '' then
  local header = redis.call('GETRANGE', KEYS[1], 0, HEADER + 127)
  local known = number_at(merged, 27) - 16
  if #header >= HEADER + 16 and string.byte(header, 1) == VERSION and string.byte(header, 2) == RECORD
    and string.sub(header, 11, 18) == string.sub(merged, 11, 18)
    and string.sub(header, HEADER + 1, HEADER + known) == string.sub(merged, HEADER + 17, HEADER + 16 + known)
    and (known == 112 or number_at(header, 27) == known) then
    local deadline = number_at(header, 3)
    if deadline > now then
      if deadline > moment and not exactly then
        moment = deadline
        merged = string.sub(merged, 1, 2) .. bytes_of(deadline) .. string.sub(merged, 11)
      end
      put(now, moment, merged)
      return 'S' .. string.sub(header, HEADER + 1, HEADER + 16)
    end
  end
end

local frame = stored()
local kind, deadline, lineage
if frame then
  kind, deadline, lineage = open(frame)
  if not kind then return 'X' .. string.sub(frame, 1, 1) end
end

local previous, writes, kept, kept_bytes, pieces = '', 1, 0, 0, { '' }
if not frame or deadline <= now then
  if on ~= 'A' then return 'G' end
  lineage, deadline = stamp, moment
elseif kind == TOMBSTONE then
  return 'G'
else
  local known, before = find(lineage, stamp)
  if known then return 'S' .. before end
  previous = string.sub(lineage, 1, 16)
  if on == 'A' or (on == 'H' and expected ~= previous) then return 'C' .. frame end

  local dropped, at = {}, 1
  while at <= #added_frame do
    local name_bytes = number_at(added_frame, at)
    dropped[string.sub(added_frame, at + 8, at + 7 + name_bytes)] = true
    at = at + 8 + name_bytes
    at = at + 8 + number_at(added_frame, at)
  end
  for index = 4, #ARGV do dropped[ARGV[index]] = true end

  kept, kept_bytes = keep(frame, #lineage, dropped, pieces)
  if not kept then return 'X' .. string.sub(frame, 1, 1) end
  if clear then kept, kept_bytes, pieces = 0, 0, { '' } end
  writes = number_at(frame, 19) + 1
  lineage = stamp .. string.sub(lineage, 1, 112)
  created = string.sub(frame, 11, 18)
  if exactly or moment > deadline then deadline = moment end
end

if HEADER + #lineage + 8 + kept_bytes + added_bytes > limit then return 'L' end
pieces[1] = table.concat({
  struct.pack('<BB', VERSION, RECORD), bytes_of(deadline), created, bytes_of(writes), bytes_of(#lineage), lineage,
  bytes_of(kept + added),
})
pieces[#pieces + 1] = added_frame
put(now, deadline, table.concat(pieces))
return 'S' .. previous
