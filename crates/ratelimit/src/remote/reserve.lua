-- Reserves, moves or gives back all units of one call, in one step. What it means is what the crate's documentation says; how it is kept:
--
-- KEYS: the epoch, then each key of the call once.
-- ARGV: mode, known id, known sequence, id for a new epoch, settling time, deadline, id and loss that a reservation saw,
--       number of demands, then for each: key, cost, number of tallies, and for each of those: 1 if smooth, window, max, 1 if enforced;
--       last, where units are moved or given back, the time at which each key counted them.
-- Times are microseconds of this server's clock. All numbers are whole and below 2^53, so that a double holds them.
local HUGE = 9007199254740992
local EXACT, SLOTS, MOST_TALLIES = 1024, 128, 128
local LOG, MERGED, BUCKET = 0, 1, 2

local place = 0
local function text() place = place + 1; return ARGV[place] end
local function number() return tonumber(text()) end
local function whole(value) return string.format('%.0f', value) end

local mode, known_id, known_seq, new_id, settle, deadline, seen_id, seen_lost =
    text(), number(), number(), number(), number(), number(), number(), number()
local time = redis.call('TIME')
local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- What is gone is noticed by who remembers it: another epoch, or an earlier state of the same.
local kept = redis.call('HMGET', KEYS[1], 'id', 'seq', 'born', 'lost', 'settled')
local id, seq, born, lost, settled = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0), tonumber(kept[4] or 0), tonumber(kept[5] or 0)
if id == 0 then
    id, seq, born = new_id, 0, clock
    if known_id ~= 0 then lost, settled = clock, 0 else lost, settled = 0, clock + settle end
    redis.call('HSET', KEYS[1], 'id', whole(id), 'seq', '0', 'born', whole(born), 'lost', whole(lost), 'settled', whole(settled))
elseif known_id ~= 0 and known_id ~= id then
    if lost < born then
        lost = born
        redis.call('HSET', KEYS[1], 'lost', whole(lost))
    end
elseif known_id == id and known_seq > seq then
    lost, seq = clock, known_seq
    redis.call('HSET', KEYS[1], 'lost', whole(lost), 'seq', whole(seq))
end

if mode == 'probe' then
    redis.call('HSET', KEYS[1], 'beat', whole(clock)) -- whoever cannot write must not count
    return { 4, id, seq, lost, clock }
end
if deadline > 0 and clock > deadline then
    return { 5, id, seq, lost, clock } -- nobody waits for the answer any more
end

local function grace(window) return math.ceil(window / SLOTS) end

local function load(key)
    local cell = { key = key, tallies = {}, latest = clock, total = 0, asked = {} }
    local blob = redis.call('GET', key)
    cell.is_new = not blob
    if blob then
        local latest, count, at = struct.unpack('<dB', blob)
        cell.latest = math.max(clock, latest)
        for n = 1, count do
            local tally = { blob = blob }
            tally.kind, tally.window, tally.max, tally.listed, tally.seeded, tally.used, tally.drained, tally.count, at =
                struct.unpack('<BddddddI4', blob, at)
            tally.from, at = at, at + tally.count * 16
            cell.tallies[n] = tally
        end
    end
    return cell
end

local function entry(tally, at) return struct.unpack('<dd', tally.blob, at) end
local function stop(tally) return tally.from + tally.count * 16 end

local function sum(tally)
    local used = 0
    for at = tally.from, stop(tally) - 16, 16 do
        local _, units = entry(tally, at)
        used = used + units
    end
    return used
end

local function expire(tally, now)
    if tally.kind == BUCKET then
        tally.used = math.max(0, tally.used - math.max(0, now - tally.drained))
        tally.drained = now
        return
    end
    local was_huge = tally.used >= HUGE
    while tally.count > 0 do
        local when, units = entry(tally, tally.from)
        if now - when < tally.window then break end
        tally.used = tally.used - units
        tally.from, tally.count = tally.from + 16, tally.count - 1
    end
    if tally.count == 0 then tally.used, tally.kind = 0, LOG end
    if was_huge then tally.used = sum(tally) end -- a sum that was rounded is not taken from
end

local function keep(tally, entries) -- from now on, these are its entries
    tally.blob, tally.from, tally.count = entries, 1, #entries / 16
end

local function slot(window) return math.max(1, math.ceil(window / SLOTS)) end

local function merge(tally)
    local size, merged, last_when, last_units = slot(tally.window), {}, nil, nil
    for at = tally.from, stop(tally) - 16, 16 do
        local when, units = entry(tally, at)
        if last_when and math.floor(last_when / size) == math.floor(when / size) then
            last_when, last_units = when, last_units + units
        else
            if last_when then merged[#merged + 1] = struct.pack('<dd', last_when, last_units) end
            last_when, last_units = when, units
        end
    end
    if last_when then merged[#merged + 1] = struct.pack('<dd', last_when, last_units) end
    keep(tally, table.concat(merged))
    tally.kind, tally.used = MERGED, sum(tally)
end

local function weight(tally, units) return units * tally.window / tally.max end

local function add_at(tally, when, units)
    if units == 0 then return end
    local upto, last = stop(tally) - 1, nil
    if tally.count > 0 then
        local last_when, last_units = entry(tally, stop(tally) - 16)
        local size = slot(tally.window)
        if last_when >= when or (tally.kind == MERGED and math.floor(last_when / size) == math.floor(when / size)) then
            upto, last = upto - 16, struct.pack('<dd', math.max(last_when, when), last_units + units)
        end
    end
    keep(tally, string.sub(tally.blob, tally.from, upto) .. (last or struct.pack('<dd', when, units)))
    tally.used = tally.used + units
    if tally.kind == LOG and tally.count > EXACT then merge(tally) end
end

-- A log counts from when the call must have left at the latest; until then it may leave without another word.
local function add(tally, now, units)
    if tally.kind == BUCKET then
        tally.used = math.min(tally.window, tally.used + weight(tally, units))
    else
        add_at(tally, now + grace(tally.window), units)
    end
end

-- Starts from the shortest history that covers the window, else from the longest.
local function seed(cell, kind, window, max)
    local from, best = nil, nil
    for _, old in ipairs(cell.tallies) do
        local rank = { old.window < window and 1 or 0, math.abs(old.window - window), old.kind == BUCKET and 1 or 0 }
        if not best or rank[1] < best[1] or (rank[1] == best[1] and (rank[2] < best[2] or (rank[2] == best[2] and rank[3] < best[3]))) then
            from, best = old, rank
        end
    end
    local tally = { kind = kind, window = window, max = max, listed = 0, seeded = 0, used = 0, drained = cell.latest, blob = '', from = 1, count = 0 }
    if from then
        tally.seeded = cell.latest
        if from.kind == BUCKET then
            add(tally, cell.latest, math.ceil(from.used * from.max / from.window - 1e-6))
        elseif kind == BUCKET then
            tally.drained = 0
            for at = from.from, stop(from) - 16, 16 do
                local when, units = entry(from, at)
                expire(tally, math.min(when, cell.latest))
                add(tally, when, units)
            end
            expire(tally, cell.latest)
        else
            tally.kind, tally.used = from.kind, from.used
            keep(tally, string.sub(from.blob, from.from, stop(from) - 1))
            if tally.kind == MERGED or tally.count > EXACT then merge(tally) end
            expire(tally, cell.latest)
        end
    end
    cell.tallies[#cell.tallies + 1] = tally
    return tally
end

local function tally_of(cell, kind, window, max)
    for _, tally in ipairs(cell.tallies) do
        local same_kind = (tally.kind == BUCKET) == (kind == BUCKET)
        if same_kind and tally.window == window and (kind ~= BUCKET or tally.max == max) then return tally end
    end
    return seed(cell, kind, window, max)
end

-- How long until so many units more fit.
local function wait(tally, units, max, now)
    if tally.kind == BUCKET then
        return math.max(0, math.ceil(tally.used + weight(tally, units) - tally.window))
    end
    local excess, left = tally.used + units - max, 0
    for at = tally.from, stop(tally) - 16, 16 do
        local when, entry_units = entry(tally, at)
        left = left + entry_units
        if left >= excess then return tally.window - (now - when) end
    end
    return tally.window
end

-- A part in 10^12, and less than half a unit, makes up for what doubles round.
local function room(tally, max)
    if tally.kind ~= BUCKET then return max - tally.used end
    return (tally.window - tally.used) * tally.max / tally.window + math.min(tally.max * 1e-12, 0.5)
end

local function take_back(tally, base, now, units)
    if base < tally.seeded then return end
    if tally.kind == BUCKET then
        tally.used = math.max(0, tally.used - math.max(0, weight(tally, units) - (now - base)))
        return
    end
    local stamp, found = base + grace(tally.window), nil
    if now - stamp >= tally.window then return end
    for at = stop(tally) - 16, tally.from, -16 do
        local when = entry(tally, at)
        if when < stamp then break end
        found = at
    end
    if not found then return end
    local when, had = entry(tally, found)
    if when ~= stamp and tally.kind ~= MERGED then return end
    local less, rest = math.min(units, had), ''
    if had > less then rest = struct.pack('<dd', when, had - less) end
    local before, after = string.sub(tally.blob, tally.from, found - 1), string.sub(tally.blob, found + 16, stop(tally) - 1)
    keep(tally, before .. rest .. after)
    if tally.used >= HUGE then tally.used = sum(tally) else tally.used = tally.used - less end
end

local cells = {}
for n = 2, #KEYS do
    local cell = load(KEYS[n])
    for _, tally in ipairs(cell.tallies) do expire(tally, cell.latest) end
    cells[n - 1] = cell
end

local remaining, refused = {}, nil
local function refuse(code, demand, quota, how_long)
    if not refused or how_long > refused[7] then refused = { code, id, seq, lost, demand, quota, how_long } end
end

for demand = 0, number() - 1 do
    local cell, cost = cells[number()], number()
    local pending, tightest, tightest_quota = cell.total + cost, -1, -1
    for quota = 0, number() - 1 do
        local kind = number() == 1 and BUCKET or LOG
        local window, max, enforced = number(), number(), number() == 1
        local tally = tally_of(cell, kind, window, max)
        tally.listed, cell.asked[tally] = cell.latest, true
        if enforced then
            local fits, lag = room(tally, max), cell.latest - clock
            if cost > 0 and settled > clock then refuse(3, demand, quota, settled - clock) end
            if cost > 0 and lost > 0 and clock - lost < window + grace(window) then
                refuse(2, demand, quota, lost + window + grace(window) - clock)
            end
            if cost > 0 and pending > fits then refuse(0, demand, quota, wait(tally, pending, max, cell.latest) + lag) end
            local left = math.min(math.max(0, math.floor(fits - pending)), HUGE - 1)
            if tightest < 0 or left < tightest then tightest, tightest_quota = left, quota end
        end
    end
    cell.total = pending
    remaining[#remaining + 1] = tightest_quota
    remaining[#remaining + 1] = tightest
end
if mode == 'reserve' and refused then return refused end

local function save(cell)
    local parts, count, ttl, now = {}, 0, 0, cell.latest
    for _, tally in ipairs(cell.tallies) do
        local forgotten = now - tally.listed > tally.window + grace(tally.window) or #cell.tallies > MOST_TALLIES
        if cell.asked[tally] or not forgotten then
            count = count + 1
            ttl = math.max(ttl, tally.window + 2 * grace(tally.window))
            parts[#parts + 1] = struct.pack('<BddddddI4', tally.kind, tally.window, tally.max, tally.listed, tally.seeded, tally.used, tally.drained, tally.count)
            parts[#parts + 1] = string.sub(tally.blob, tally.from, stop(tally) - 1)
        end
    end
    local blob = struct.pack('<dB', now, count) .. table.concat(parts)
    redis.call('SET', cell.key, blob, 'PX', whole(math.ceil((ttl + now - clock) / 1000) + 1000))
end

local nows, is_known = {}, seen_id == id and seen_lost == lost
for n, cell in ipairs(cells) do
    nows[n] = cell.latest
    if cell.total > 0 and not (mode == 'release' and cell.is_new) then
        local base = mode ~= 'reserve' and number() or nil
        for _, tally in ipairs(cell.tallies) do
            if base and is_known then take_back(tally, base, cell.latest, cell.total) end
            if mode ~= 'release' then add(tally, cell.latest, cell.total) end
        end
        save(cell)
    elseif mode ~= 'reserve' then
        place = place + 1
    end
end
seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local granted = { 1, id, seq, lost, #nows }
for _, now in ipairs(nows) do granted[#granted + 1] = now end
for _, left in ipairs(remaining) do granted[#granted + 1] = left end
return granted
