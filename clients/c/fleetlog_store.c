/*
 * Batches in sectors of flash, or of RAM that is used in the same way.
 *
 * A sector begins with its header: its number, which says how old it is, and the ranges that were dropped and not yet
 * declared as it was begun. Frames follow: header, payload, and three marks of one write unit each, which are erased
 * until the frame is acknowledged, refused, settled. Everything is written once into erased bytes. A frame that was
 * written in part (a loss of power) closes its sector.
 *
 * Frames are sent in their order. Settled ones take no room once all of their sector are. When room is wanted and there
 * is none, the oldest sector goes, but not the one that holds a frame which may have been sent already: what may have
 * arrived must not be declared as dropped.
 */
#include "fleetlog_internal.h"

#define ALIGNED(size) (((uint32_t)(size) + FLEETLOG_WRITE_UNIT - 1u) / FLEETLOG_WRITE_UNIT * FLEETLOG_WRITE_UNIT)
#define FRAME_HEADER ALIGNED(sizeof(fleetlog_frame))

typedef enum { MARK_ACKNOWLEDGED, MARK_REFUSED, MARK_SETTLED, MARKS } mark;

typedef struct {
    uint32_t magic;
    uint32_t number;
    uint32_t drop_count;
    uint32_t check; /* CRC of the above and of the drops, which follow */
} sector_header;

#define SECTOR_MAGIC 0x464c4731u
/* After the header is a mark: the sector is about to be erased. It counts also when the power is lost while it is. */
#define SECTOR_RETIRED ALIGNED(sizeof(sector_header))
/* And another: of its drops one may have been declared that could still have grown before. */
#define SECTOR_DECLARED (SECTOR_RETIRED + FLEETLOG_WRITE_UNIT)
#define SECTOR_HEADER (SECTOR_DECLARED + FLEETLOG_WRITE_UNIT)
#define ERASED 0xffu

static uint32_t crc32(uint32_t crc, const void *data, size_t size) {
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t index = 0; index < size; index += 1) {
        crc ^= bytes[index];
        for (int bit = 0; bit < 8; bit += 1) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static bool flash_read(const fleetlog_client *client, uint32_t position, void *data, size_t size) {
    const fleetlog_config *config = client->config;
    if (!config->memory) return config->flash.read(config->flash.context, position, data, size);
    memcpy(data, config->memory + position, size);
    return true;
}

static bool flash_write(fleetlog_client *client, uint32_t position, const void *data, uint32_t size) {
    const fleetlog_config *config = client->config;
    if (!config->memory) return config->flash.write(config->flash.context, position, data, size);
    memcpy(config->memory + position, data, size);
    return true;
}

static bool flash_erase(fleetlog_client *client, uint32_t position) {
    const fleetlog_config *config = client->config;
    if (!config->memory) return config->flash.erase(config->flash.context, position);
    memset(config->memory + position, ERASED, config->sector_size);
    return true;
}

static uint32_t place(const fleetlog_client *client, fleetlog_position position) {
    return position.sector * client->config->sector_size + position.offset;
}

static bool is_same(fleetlog_position one, fleetlog_position other) {
    return one.sector == other.sector && one.offset == other.offset;
}

static uint32_t marks_at(const fleetlog_frame *frame) {
    return FRAME_HEADER + ALIGNED(frame->size);
}

static uint32_t frame_size(const fleetlog_frame *frame) {
    return marks_at(frame) + MARKS * FLEETLOG_WRITE_UNIT;
}

static bool is_unit_written(const fleetlog_client *client, uint32_t at) {
    uint8_t unit[FLEETLOG_WRITE_UNIT];
    if (!flash_read(client, at, unit, sizeof unit)) return false;
    for (size_t index = 0; index < sizeof unit; index += 1)
        if (unit[index] != ERASED) return true;
    return false;
}

static void write_unit(fleetlog_client *client, uint32_t at) {
    uint8_t unit[FLEETLOG_WRITE_UNIT];
    if (is_unit_written(client, at)) return;
    memset(unit, 0, sizeof unit);
    flash_write(client, at, unit, sizeof unit);
}

/* Writes what may end within a write unit, and fits into FLEETLOG_DROPS_MAX drops. */
static bool write_padded(fleetlog_client *client, uint32_t at, const void *data, size_t size) {
    uint8_t units[ALIGNED(sizeof client->drops)];
    memset(units, ERASED, sizeof units);
    memcpy(units, data, size);
    return size == 0 || flash_write(client, at, units, ALIGNED(size));
}

static uint32_t mark_at(const fleetlog_client *client, fleetlog_position position, const fleetlog_frame *frame, mark which) {
    return place(client, position) + marks_at(frame) + (uint32_t)which * FLEETLOG_WRITE_UNIT;
}

static bool is_marked(const fleetlog_client *client, fleetlog_position position, const fleetlog_frame *frame, mark which) {
    return is_unit_written(client, mark_at(client, position, frame, which));
}

/* A mark that could not be written costs a retry, which the server recognises. */
static void set_mark(fleetlog_client *client, fleetlog_position position, const fleetlog_frame *frame, mark which) {
    write_unit(client, mark_at(client, position, frame, which));
}

static uint32_t check_sector(const sector_header *header, const fleetlog_drop *drops) {
    uint32_t crc = crc32(0, header, offsetof(sector_header, check));
    return crc32(crc, drops, header->drop_count * sizeof *drops);
}

/* Reads the header of a sector and its drops; false: it holds none. */
static bool read_sector(fleetlog_client *client, uint32_t sector, sector_header *header) {
    uint32_t at = sector * client->config->sector_size;
    return flash_read(client, at, header, sizeof *header) && header->magic == SECTOR_MAGIC &&
           header->drop_count <= FLEETLOG_DROPS_MAX && !is_unit_written(client, at + SECTOR_RETIRED) &&
           flash_read(client, at + SECTOR_HEADER, client->drops, header->drop_count * sizeof *client->drops) &&
           header->check == check_sector(header, client->drops);
}

/* Where the frames of a sector begin: at its end, if it could not be begun and has the header of an earlier time. */
static uint32_t first_offset(const fleetlog_client *client, uint32_t sector) {
    sector_header header;
    if (!flash_read(client, sector * client->config->sector_size, &header, sizeof header) ||
        header.number != client->numbers[sector] || header.drop_count > FLEETLOG_DROPS_MAX)
        return client->config->sector_size;
    return SECTOR_HEADER + ALIGNED(header.drop_count * sizeof(fleetlog_drop));
}

/* Reads the header of a frame; false: there is none that could be read, and none after it in the sector. */
static bool read_frame(const fleetlog_client *client, fleetlog_position position, fleetlog_frame *frame) {
    uint32_t sector_size = client->config->sector_size;
    return position.offset <= sector_size - FRAME_HEADER && /* a sector has room for one, see fleetlog_init */
           flash_read(client, place(client, position), frame, sizeof *frame) &&
           frame->check == crc32(0, frame, offsetof(fleetlog_frame, check)) && frame->size < sector_size &&
           frame->session_size <= FLEETLOG_SESSION_MAX && frame_size(frame) <= sector_size - position.offset;
}

static bool is_whole(const fleetlog_client *client, fleetlog_position position, const fleetlog_frame *frame) {
    uint8_t piece[32];
    uint32_t crc = 0;
    uint32_t at = place(client, position) + FRAME_HEADER;
    for (uint32_t done = 0; done < frame->size;) {
        uint32_t size = frame->size - done < sizeof piece ? frame->size - done : (uint32_t)sizeof piece;
        if (!flash_read(client, at + done, piece, size)) return false;
        crc = crc32(crc, piece, size);
        done += size;
    }
    return crc == frame->crc;
}

/* The sector that is older than all others from this number on; false: there is none. */
static bool oldest_from(const fleetlog_client *client, uint32_t number, uint32_t *sector) {
    uint32_t lowest = UINT32_MAX;
    for (uint32_t index = 0; index < client->config->sector_count; index += 1) {
        if (client->numbers[index] < number || client->numbers[index] == 0 || client->numbers[index] >= lowest) continue;
        lowest = client->numbers[index];
        *sector = index;
    }
    return lowest != UINT32_MAX;
}

bool fleetlog_is_current(const fleetlog_client *client, const char *session, uint32_t session_size) {
    return session_size == client->session_size && memcmp(session, client->session, session_size) == 0;
}

void fleetlog_not_stored(fleetlog_client *client, const char *session, uint32_t session_size, uint64_t sequence) {
    if (sequence == client->device_sequence && fleetlog_is_current(client, session, session_size))
        client->device_sequence = 0;
}

static void report(fleetlog_client *client, fleetlog_event_type type, const fleetlog_frame *frame, const char *text) {
    fleetlog_event event = {
        .type = type, .first = frame->sequence, .last = frame->sequence, .text = fleetlog_string(text)};
    event.session.data = frame->session;
    event.session.size = frame->session_size;
    if (type == FLEETLOG_FAILED || type == FLEETLOG_DROPPED)
        fleetlog_not_stored(client, frame->session, frame->session_size, frame->sequence);
    fleetlog_emit(client, &event);
}

/* Moves on to the first frame that is not settled, from `position` on; false: there is none. */
static bool find_frame(fleetlog_client *client, fleetlog_position *position, fleetlog_frame *frame) {
    for (;;) {
        while (read_frame(client, *position, frame)) {
            if (!is_marked(client, *position, frame, MARK_SETTLED)) {
                if (is_whole(client, *position, frame)) return true;
                report(client, FLEETLOG_FAILED, frame, "a batch in the storage is damaged");
            }
            position->offset += frame_size(frame);
        }
        if (!oldest_from(client, client->numbers[position->sector] + 1, &position->sector)) return false;
        position->offset = first_offset(client, position->sector);
    }
}

static bool find_oldest(fleetlog_client *client, fleetlog_position *position, fleetlog_frame *frame) {
    if (!oldest_from(client, 1, &position->sector)) return false;
    position->offset = first_offset(client, position->sector);
    return find_frame(client, position, frame);
}

/* Makes the frame at or after `position` the next to send. */
static void select_next(fleetlog_client *client, fleetlog_position position) {
    client->next = position;
    client->has_frame = find_frame(client, &client->next, &client->frame);
    client->is_refused = client->has_frame && is_marked(client, client->next, &client->frame, MARK_REFUSED);
    client->is_attempted = false;
}

static void select_oldest(fleetlog_client *client) {
    fleetlog_position position;
    fleetlog_frame frame;
    client->has_frame = find_oldest(client, &position, &frame);
    if (client->has_frame) select_next(client, position);
}

#if FLEETLOG_COMMITTED
static void set_oldest(fleetlog_client *client, bool has_oldest, fleetlog_position position) {
    client->has_oldest = has_oldest;
    client->oldest = position;
    client->oldest_ms = client->now_ms;
    client->rewinds = 0;
}
#endif

static fleetlog_position oldest_kept(const fleetlog_client *client) {
#if FLEETLOG_COMMITTED
    if (client->has_oldest) return client->oldest;
#endif
    return client->next;
}

static bool is_keeping(const fleetlog_client *client) {
#if FLEETLOG_COMMITTED
    if (client->has_oldest) return true;
#endif
    return client->has_frame;
}

static bool is_erased(const fleetlog_client *client, fleetlog_position position) {
    uint8_t piece[32];
    while (position.offset < client->config->sector_size) {
        uint32_t left = client->config->sector_size - position.offset;
        uint32_t size = left < sizeof piece ? left : (uint32_t)sizeof piece;
        if (!flash_read(client, place(client, position), piece, size)) return false;
        for (uint32_t index = 0; index < size; index += 1)
            if (piece[index] != ERASED) return false;
        position.offset += size;
    }
    return true;
}

const char *fleetlog_store_open(fleetlog_client *client) {
    const fleetlog_config *config = client->config;
    uint32_t used = SECTOR_HEADER + ALIGNED(sizeof client->drops) + FRAME_HEADER + MARKS * FLEETLOG_WRITE_UNIT;
    uint32_t sectors_min = 3; /* besides the one to erase: where frames are written, and where the one sent lies */
#if FLEETLOG_COMMITTED
    if (config->keep_until_committed) sectors_min = 4; /* and the one that may have arrived */
#endif
    if (config->sector_count < sectors_min || config->sector_count > FLEETLOG_SECTORS_MAX ||
        config->sector_size > UINT32_MAX / config->sector_count)
        return "sector_count: 3 (keep_until_committed: 4) to FLEETLOG_SECTORS_MAX";
    if (config->sector_size % FLEETLOG_WRITE_UNIT != 0 || config->batch_size % FLEETLOG_WRITE_UNIT != 0)
        return "sector_size, batch_size: no multiple of FLEETLOG_WRITE_UNIT";
    if (config->sector_size < used || config->sector_size - used < config->batch_size)
        return "sector_size: under batch_size + 256 bytes";
    sector_header header;
    uint32_t newest = 0;
    client->end.offset = client->config->sector_size;
    if (client->config->memory) return NULL; /* its content means nothing */
    for (uint32_t index = 0; index < client->config->sector_count; index += 1) {
        if (!read_sector(client, index, &header)) continue;
        client->numbers[index] = header.number;
        if (header.number > newest) {
            newest = header.number;
            client->end.sector = index;
        }
    }
    if (newest == 0) return NULL;
    if (!read_sector(client, client->end.sector, &header)) return "flash: cannot be read";
    client->drop_count = header.drop_count;
    if (is_unit_written(client, client->end.sector * config->sector_size + SECTOR_DECLARED))
        for (uint32_t index = 0; index < client->drop_count; index += 1) client->drops[index].is_fixed = 1;

    fleetlog_frame frame;
    client->end.offset = first_offset(client, client->end.sector);
    while (read_frame(client, client->end, &frame) && is_whole(client, client->end, &frame))
        client->end.offset += frame_size(&frame);
    if (!is_erased(client, client->end)) client->end.offset = client->config->sector_size;

    select_oldest(client);
#if FLEETLOG_COMMITTED
    set_oldest(client, client->has_frame, client->next);
#endif
    /* Frames are sent in their order: one at most was sent and not acknowledged. */
    fleetlog_position position = client->next;
    frame = client->frame;
    for (bool is_found = client->has_frame; is_found; is_found = find_frame(client, &position, &frame)) {
        if (!is_marked(client, position, &frame, MARK_ACKNOWLEDGED)) {
            client->has_unsure = true;
            client->unsure = position;
            break;
        }
        position.offset += frame_size(&frame);
    }
    return NULL;
}

bool fleetlog_store_is_acknowledged(const fleetlog_client *client) {
    return is_marked(client, client->next, &client->frame, MARK_ACKNOWLEDGED);
}

void fleetlog_store_attempted(fleetlog_client *client) {
    client->is_attempted = true;
    if (fleetlog_store_is_acknowledged(client)) return;
    client->has_unsure = true;
    client->unsure = client->next;
}

/* Remembers to declare a batch as dropped. */
static void add_drop(fleetlog_client *client, const fleetlog_frame *frame, uint16_t reason) {
    report(client, FLEETLOG_DROPPED, frame, NULL);
    fleetlog_drop *drop = client->drops;
    for (uint32_t index = 0; index < client->drop_count; index += 1, drop += 1) {
        if (drop->is_fixed || drop->reason != reason || drop->last + 1 != frame->sequence ||
            drop->session_size != frame->session_size || memcmp(drop->session, frame->session, frame->session_size) != 0)
            continue;
        drop->last = frame->sequence;
        return;
    }
    if (client->drop_count == FLEETLOG_DROPS_MAX) { /* the server shows it as missing */
        report(client, FLEETLOG_FAILED, frame, "too many drops to declare");
        return;
    }
    client->drop_count += 1;
    memset(drop, 0, sizeof *drop); /* it is part of a CRC */
    drop->first = drop->last = frame->sequence;
    memcpy(drop->session, frame->session, sizeof drop->session);
    drop->session_size = frame->session_size;
    drop->reason = reason;
}

/* Gives up the frames of a sector that no acknowledgement covers. */
static void drop_frames(fleetlog_client *client, uint32_t sector) {
    fleetlog_position position = {sector, first_offset(client, sector)};
    fleetlog_frame frame;
    for (; read_frame(client, position, &frame); position.offset += frame_size(&frame)) {
        if (is_marked(client, position, &frame, MARK_SETTLED)) continue;
        if (!is_whole(client, position, &frame)) continue;
        if (is_marked(client, position, &frame, MARK_ACKNOWLEDGED))
            report(client, FLEETLOG_RELEASED, &frame, NULL);
        else
            add_drop(client, &frame, FLEETLOG_REASON_FULL);
    }
}

/* Which sector to erase: a free one, else the oldest that may go; false: none may. */
static bool choose_sector(const fleetlog_client *client, uint32_t *chosen) {
    uint32_t lowest = UINT32_MAX;
    bool is_begun = client->numbers[client->end.sector] != 0;
    for (uint32_t index = 0; index < client->config->sector_count; index += 1) {
        bool is_protected = (is_begun && index == client->end.sector) ||
                            (client->has_unsure && index == client->unsure.sector) ||
                            (client->has_frame && client->is_attempted && index == client->next.sector);
        if (is_protected || client->numbers[index] >= lowest) continue;
        lowest = client->numbers[index];
        *chosen = index;
    }
    return lowest != UINT32_MAX;
}

/* The frames of the sector are gone. */
static void leave_sector(fleetlog_client *client, uint32_t sector) {
#if FLEETLOG_COMMITTED
    if (client->has_oldest && client->oldest.sector == sector) {
        fleetlog_position position = {0, 0};
        fleetlog_frame frame;
        bool has_oldest = find_oldest(client, &position, &frame);
        set_oldest(client, has_oldest, position);
    }
#endif
    if (client->has_frame && client->next.sector == sector) select_oldest(client);
}

/* Begins a sector; false: it failed, and is the last to be tried again. */
static bool begin_sector(fleetlog_client *client) {
    uint32_t sector;
    if (!choose_sector(client, &sector)) return false;
    uint32_t at = sector * client->config->sector_size;
    bool drops_kept = client->numbers[sector] != 0 && is_keeping(client) &&
                      client->numbers[sector] >= client->numbers[oldest_kept(client).sector];
    if (drops_kept) drop_frames(client, sector);

    sector_header header = {.magic = SECTOR_MAGIC, .drop_count = client->drop_count};
    for (uint32_t index = 0; index < client->config->sector_count; index += 1)
        if (client->numbers[index] >= header.number) header.number = client->numbers[index] + 1;
    header.check = check_sector(&header, client->drops);

    write_unit(client, at + SECTOR_RETIRED);
    bool is_erased_now = flash_erase(client, at);
    client->numbers[sector] = header.number;
    if (drops_kept) leave_sector(client, sector);
    client->end.sector = sector;
    client->end.offset = SECTOR_HEADER + ALIGNED(client->drop_count * sizeof *client->drops);
    /* The drops first: with the header the sector counts. */
    if (is_erased_now && write_padded(client, at + SECTOR_HEADER, client->drops, client->drop_count * sizeof *client->drops) &&
        write_padded(client, at, &header, sizeof header))
        return true;
    client->end.offset = client->config->sector_size;
    return false;
}

static bool write_frame(fleetlog_client *client, const fleetlog_frame *frame, uint8_t *payload) {
    for (uint32_t index = frame->size; index < ALIGNED(frame->size); index += 1) payload[index] = ERASED;
    uint32_t at = place(client, client->end);
    return write_padded(client, at, frame, sizeof *frame) &&
           flash_write(client, at + FRAME_HEADER, payload, ALIGNED(frame->size));
}

bool fleetlog_store_append(fleetlog_client *client, uint64_t sequence, uint8_t *payload, size_t size) {
    fleetlog_frame frame = {.size = (uint32_t)size, .sequence = sequence, .session_size = client->session_size};
    memcpy(frame.session, client->session, client->session_size);
    frame.crc = crc32(0, payload, size);
    frame.check = crc32(0, &frame, offsetof(fleetlog_frame, check));
    /* Each sector once, should all but one fail. */
    for (uint32_t tries = 0; tries <= client->config->sector_count; tries += 1) {
        if (frame_size(&frame) > client->config->sector_size - client->end.offset && !begin_sector(client)) continue;
        fleetlog_position position = client->end;
        if (frame_size(&frame) > client->config->sector_size - position.offset) break; /* drops fill the sector */
        if (!write_frame(client, &frame, payload)) {
            set_mark(client, position, &frame, MARK_SETTLED); /* it may be whole: the next try is the one that counts */
            client->end.offset = client->config->sector_size;
            continue;
        }
        client->end.offset += frame_size(&frame);
        if (!client->has_frame) select_next(client, position);
#if FLEETLOG_COMMITTED
        if (!client->has_oldest) set_oldest(client, true, position);
#endif
        return true;
    }
    add_drop(client, &frame, FLEETLOG_REASON_STORAGE);
    return false;
}

bool fleetlog_store_payload(const fleetlog_client *client, uint32_t at, uint8_t *data, size_t size) {
    return flash_read(client, place(client, client->next) + FRAME_HEADER + at, data, size);
}

static void select_after(fleetlog_client *client) {
    fleetlog_position position = client->next;
    position.offset += frame_size(&client->frame);
    select_next(client, position);
}

void fleetlog_store_acknowledged(fleetlog_client *client, bool is_final) {
    if (client->has_unsure && is_same(client->unsure, client->next)) client->has_unsure = false;
#if FLEETLOG_COMMITTED
    bool is_oldest = client->has_oldest && is_same(client->oldest, client->next);
    if (client->config->keep_until_committed && !is_final) {
        set_mark(client, client->next, &client->frame, MARK_ACKNOWLEDGED);
        select_after(client);
        return;
    }
#else
    (void)is_final;
#endif
    set_mark(client, client->next, &client->frame, MARK_SETTLED);
    select_after(client);
#if FLEETLOG_COMMITTED
    if (is_oldest) set_oldest(client, client->has_frame, client->next);
#endif
}

bool fleetlog_store_refused(fleetlog_client *client) {
    /* Acknowledged before, it is stored: then its number is not to be declared. */
    if (client->is_refused || fleetlog_store_is_acknowledged(client)) return false;
    set_mark(client, client->next, &client->frame, MARK_REFUSED);
    client->is_refused = true;
    return true;
}

void fleetlog_store_declaring(fleetlog_client *client) {
    if (client->drops[0].is_fixed) return;
    client->drops[0].is_fixed = 1;
    write_unit(client, client->end.sector * client->config->sector_size + SECTOR_DECLARED);
}

void fleetlog_store_declared(fleetlog_client *client) {
    client->drop_count -= 1;
    memmove(client->drops, client->drops + 1, client->drop_count * sizeof *client->drops);
}

#if FLEETLOG_COMMITTED

bool fleetlog_store_oldest(const fleetlog_client *client, fleetlog_frame *frame) {
    return client->has_oldest && read_frame(client, client->oldest, frame);
}

static bool is_before(const fleetlog_client *client, fleetlog_position one, fleetlog_position other) {
    if (one.sector != other.sector) return client->numbers[one.sector] < client->numbers[other.sector];
    return one.offset < other.offset;
}

void fleetlog_store_committed(fleetlog_client *client, const uint8_t *body, size_t size) {
    fleetlog_position position = client->oldest;
    fleetlog_frame frame;
    if (!client->has_oldest) return;
    while (find_frame(client, &position, &frame) && (!client->has_frame || is_before(client, position, client->next))) {
        bool is_subject = frame.session_size == client->subject.session_size &&
                       memcmp(frame.session, client->subject.session, frame.session_size) == 0;
        bool is_refused = is_marked(client, position, &frame, MARK_REFUSED);
        uint32_t field = is_refused ? fleetlog_v1_GetSessionResponse_dropped_ranges_tag
                                    : fleetlog_v1_GetSessionResponse_committed_ranges_tag;
        if (is_subject && fleetlog_has_sequence(body, size, field, frame.sequence)) {
            report(client, FLEETLOG_COMMITTED_BATCH, &frame, NULL);
            set_mark(client, position, &frame, MARK_SETTLED);
        }
        position.offset += frame_size(&frame);
    }
    position = client->oldest;
    bool has_oldest = find_frame(client, &position, &frame);
    if (!has_oldest || is_before(client, client->oldest, position)) set_oldest(client, has_oldest, position);
}

void fleetlog_store_rewind(fleetlog_client *client) {
    select_next(client, client->oldest);
    client->is_attempted = true;
    client->oldest_ms = client->now_ms;
    if (client->rewinds < 6) client->rewinds += 1;
}

#endif
