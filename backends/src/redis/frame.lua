-- Reading and making frames: the table of the format is in frame.rs of holdover-api. Positions count from one.
-- Every script is this file followed by one other. Lua's numbers are doubles, which is exact enough: no count, length
-- or moment of a whole frame reaches 2^53, and a corrupt one fails the checks below, whatever it is rounded to.

local RECORD, TOMBSTONE = 0, 1
local VERSION = 2
local HEADER = 34
local LAST_MOMENT = 253402300799999

local function number_at(frame, position)
  local low, high = struct.unpack('<I4I4', frame, position)
  return low + high * 4294967296
end

local function bytes_of(number)
  return struct.pack('<I4I4', number % 4294967296, math.floor(number / 4294967296))
end

-- A frame of version 1 lacks the number of writes: each remembered stamp counts as one, as frame.rs has it.
local function as_version_2(frame)
  if #frame < 26 or string.byte(frame, 1) ~= 1 then return frame end
  local writes = math.floor(number_at(frame, 19) / 16)
  return string.char(VERSION) .. string.sub(frame, 2, 18) .. bytes_of(writes) .. string.sub(frame, 19)
end

-- The frame under the key, in today's version; false if there is none.
local function stored()
  local frame = redis.call('GET', KEYS[1])
  return frame and as_version_2(frame)
end

-- Answers kind, deadline and lineage; nothing if the header is not one of version 2.
local function open(frame)
  if #frame < HEADER + 16 + 8 then return nil end
  local version, kind = string.byte(frame, 1, 2)
  local lineage_bytes = number_at(frame, 27)
  if version ~= VERSION or kind > TOMBSTONE then return nil end
  if lineage_bytes < 16 or lineage_bytes > 128 or lineage_bytes % 16 ~= 0 then return nil end
  if #frame < HEADER + lineage_bytes + 8 then return nil end
  return kind, math.min(number_at(frame, 3), LAST_MOMENT), string.sub(frame, HEADER + 1, HEADER + lineage_bytes)
end

-- Walks the attributes behind a lineage of so many bytes and appends those that are not among `dropped` to `pieces`.
-- Answers how many they are, and their bytes; nothing if they do not fill the frame exactly.
local function keep(frame, lineage_bytes, dropped, pieces)
  local length, unpack, sub = #frame, struct.unpack, string.sub
  local at = HEADER + lineage_bytes + 1
  local count = number_at(frame, at)
  local kept, bytes = count, 0
  at = at + 8
  local from = at
  for _ = 1, count do
    if at + 7 > length then return nil end
    local low, high = unpack('<I4I4', frame, at)
    local value_at = at + 8 + low + high * 4294967296
    if value_at + 7 > length then return nil end
    low, high = unpack('<I4I4', frame, value_at)
    local next_at = value_at + 8 + low + high * 4294967296
    if dropped and dropped[sub(frame, at + 8, value_at - 1)] then
      pieces[#pieces + 1] = sub(frame, from, at - 1)
      bytes = bytes + at - from
      from = next_at
      kept = kept - 1
    end
    at = next_at
  end
  if at ~= length + 1 then return nil end
  if dropped then pieces[#pieces + 1] = sub(frame, from) end
  return kept, bytes + at - from
end

-- Answers whether a lineage holds a stamp, and the stamp before it, empty if that is no longer known.
local function find(lineage, stamp)
  local at = string.find(lineage, stamp, 1, true)
  while at do
    if at % 16 == 1 then return true, string.sub(lineage, at + 16, at + 31) end
    at = string.find(lineage, stamp, at + 1, true)
  end
  return false
end

-- Stores a frame until its deadline. One command, so that a failure leaves nothing half done; what is over at once
-- is not stored at all.
local function put(now, deadline, frame)
  if deadline <= now then
    redis.call('UNLINK', KEYS[1])
  else
    redis.call('SET', KEYS[1], frame, 'PXAT', string.format('%.0f', deadline))
  end
end
