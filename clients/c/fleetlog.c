/*
 * The life of a batch: records are encoded into the open batch; closed, it goes to the storage under its number; from
 * there one request at a time carries it until the server has it. fleetlog_poll moves the request on:
 *
 *     IDLE ──something to send──▶ CONNECTING ──▶ SENDING ──▶ RECEIVING ──response──▶ IDLE, or PAUSED
 *       ▲                              └──────── broken ────────┴──▶ PAUSED (backoff)
 *       └───────── time is over ────────────────────────────────────────┘
 */
#include "fleetlog_internal.h"

enum { IDLE, CONNECTING, SENDING, RECEIVING, PAUSED };
enum { JOB_NONE, JOB_BATCH, JOB_REFUSED, JOB_DROP, JOB_PROGRESS };
enum { PART_HEAD, PART_HEADERS, PART_START, PART_PAYLOAD, PART_END, PART_NONE };

/* What one poll may do before it returns to the main loop. */
#define STEPS_MAX 64
/* How long to wait for a socket that is not ready. */
#define SOCKET_MS 10u
#define DELAY_MAX_MS 60000u
/* The first bytes of a body: device, session, sequence, the declaration of a drop. */
#define START_MAX 256u
#define IO_MIN 768u
#define HOST_MAX 255u
#define DEVICE_MAX 128u
/* Each of the texts about the device. */
#define INFO_MAX 256u
#define NANO_PER_MS 1000000u

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value ? value : otherwise;
}

/* An event about what the request is about. */
static fleetlog_event new_event(const fleetlog_client *client, fleetlog_event_type type, uint32_t code, fleetlog_text text) {
    fleetlog_event event = {.type = type, .code = code, .text = text};
    event.first = event.last = client->subject.first;
    event.session.data = client->subject.session;
    event.session.size = client->subject.session_size;
    return event;
}

static void emit_text(const fleetlog_client *client, fleetlog_event_type type, uint32_t code, fleetlog_text text) {
    fleetlog_event event = new_event(client, type, code, text);
    fleetlog_emit(client, &event);
}

/* ── The open batch ── */

/* What all records of the batch share follows them, as the server likes the order of its fields; keeps room for it. */
static bool encode_shared(pb_ostream_t *stream, const fleetlog_client *client) {
    return fleetlog_encode_shared(stream, client->config, client->has_device);
}

static bool open_batch(fleetlog_client *client, bool has_device) {
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    client->has_device = has_device;
    encode_shared(&sizing, client);
    client->batch_used = 0;
    client->batch_max = client->config->batch_size - sizing.bytes_written;
    client->opened_ms = client->now_ms;
    return sizing.bytes_written < client->config->batch_size;
}

static bool append_record(fleetlog_client *client, const fleetlog_record *record) {
    pb_ostream_t stream =
        pb_ostream_from_buffer(client->config->batch + client->batch_used, client->batch_max - client->batch_used);
    if (!fleetlog_encode_record(&stream, record)) return false;
    client->batch_used += stream.bytes_written;
    client->has_records = true;
    return true;
}

static bool begin_batch(fleetlog_client *client, const fleetlog_record *record) {
    bool has_device = client->device_sequence == 0;
    if (open_batch(client, has_device) && append_record(client, record)) return true;
    /* Beside what the device says about itself there is no room for it: another batch says that. */
    return has_device && open_batch(client, false) && append_record(client, record);
}

static void draw_session(fleetlog_client *client) {
    for (uint32_t index = 0; index < 16; index += 8) {
        uint32_t bits = client->config->random(client->config->context);
        for (uint32_t digit = 0; digit < 8; digit += 1)
            client->session[index + digit] = "0123456789abcdef"[(bits >> (4 * digit)) & 15u];
    }
    client->session_size = 16;
}

/* A name that the server takes. */
static bool is_name(fleetlog_text name, size_t size_max) {
    const char *bytes = name.data;
    for (size_t index = 0; index < name.size; index += 1) {
        char byte = bytes[index];
        char letter = (char)(byte | 0x20);
        if (!(letter >= 'a' && letter <= 'z') && !(byte >= '-' && byte <= ':' && byte != '/') && byte != '_') return false;
    }
    return name.size <= size_max;
}

/* What is wrong with the configuration; NULL: nothing. */
static const char *find_fault(const fleetlog_config *config) {
    const fleetlog_socket *socket = &config->socket;
    const fleetlog_flash *flash = &config->flash;
    if (config->device_id.size == 0 || !is_name(config->device_id, DEVICE_MAX))
        return "device_id: 1 to 128 of A-Z a-z 0-9 . _ : -";
    if (!is_name(config->session_id, FLEETLOG_SESSION_MAX))
        return "session_id: as device_id, at most FLEETLOG_SESSION_MAX";
    if (config->host.size == 0 || config->host.size > HOST_MAX) return "host: 1 to 255 bytes";
    if (config->firmware.size > INFO_MAX) return "firmware: over 256 bytes";
    if (config->hardware.size > INFO_MAX) return "hardware: over 256 bytes";
    if (config->site.size > INFO_MAX) return "site: over 256 bytes";
    if (!config->random) return "random: missing";
    if (!socket->connect || !socket->send || !socket->receive || !socket->close) return "socket: missing";
    if (!config->batch) return "batch: missing";
    if (!config->io || config->io_size < IO_MIN) return "io: under 768 bytes";
    if (!config->memory && (!flash->read || !flash->write || !flash->erase))
        return "memory, flash: missing";
    return NULL;
}

fleetlog_status fleetlog_init(fleetlog_client *client, const fleetlog_config *config) {
    memset(client, 0, sizeof *client);
    client->config = config;
    client->sequence = 1;
    const char *fault = find_fault(config);
    if (!fault) {
        client->session_size = (uint32_t)config->session_id.size;
        if (client->session_size > 0)
            memcpy(client->session, config->session_id.data, client->session_size);
        else
            draw_session(client);
        fault = fleetlog_store_open(client);
    }
    if (fault) {
        emit_text(client, FLEETLOG_FAILED, 0, fleetlog_string(fault));
        return FLEETLOG_INVALID;
    }
    return open_batch(client, true) ? FLEETLOG_OK : FLEETLOG_TOO_LARGE;
}

fleetlog_status fleetlog_flush(fleetlog_client *client) {
    if (!client->has_records) return FLEETLOG_OK;
    uint8_t *batch = client->config->batch;
    pb_ostream_t stream =
        pb_ostream_from_buffer(batch + client->batch_used, client->config->batch_size - client->batch_used);
    encode_shared(&stream, client);
    if (client->has_device) client->device_sequence = client->sequence;
    bool is_kept =
        fleetlog_store_append(client, client->sequence, batch, client->batch_used + stream.bytes_written);
    client->sequence += 1;
    client->has_records = false;
    return is_kept ? FLEETLOG_OK : FLEETLOG_STORAGE;
}

fleetlog_status fleetlog_log(fleetlog_client *client, const fleetlog_record *record) {
    if (client->has_records && append_record(client, record)) return FLEETLOG_OK;
    fleetlog_status status = fleetlog_flush(client);
    return begin_batch(client, record) ? status : FLEETLOG_TOO_LARGE;
}

/* ── What to send ── */

static uint8_t choose_job(fleetlog_client *client) {
#if FLEETLOG_COMMITTED
    const fleetlog_config *config = client->config;
    bool has_acknowledged = client->has_oldest && (!client->has_frame || client->oldest.sector != client->next.sector ||
                                                   client->oldest.offset != client->next.offset);
    /* A server that could not answer is not asked again soon: batches wait meanwhile. */
    uint32_t poll_ms = or_default(config->commit_poll_ms, 2000) * (client->is_progress_known ? 1 : 10);
    if (has_acknowledged && client->now_ms - client->polled_ms >= poll_ms) return JOB_PROGRESS;
#endif
    if (client->drop_count > 0) return JOB_DROP;
    if (!client->has_frame) return JOB_NONE;
    return client->is_refused ? JOB_REFUSED : JOB_BATCH;
}

/* Takes note of what the request is about, for that may change while it is sent. */
static void choose_subject(fleetlog_client *client) {
    fleetlog_drop *subject = &client->subject;
    const fleetlog_frame *frame = &client->frame;
    if (client->job == JOB_BATCH || client->job == JOB_REFUSED) fleetlog_store_attempted(client);
    if (client->job == JOB_DROP) {
        fleetlog_store_declaring(client);
        *subject = client->drops[0];
        return;
    }
#if FLEETLOG_COMMITTED
    fleetlog_frame oldest;
    if (client->job == JOB_PROGRESS) {
        if (fleetlog_store_oldest(client, &oldest)) frame = &oldest;
    }
#endif
    subject->first = frame->sequence;
    subject->last = 0; /* only this one */
    subject->session_size = frame->session_size;
    subject->reason = FLEETLOG_REASON_REFUSED;
    memcpy(subject->session, frame->session, frame->session_size);
}

/* ── The request ── */

static fleetlog_text subject_session(const fleetlog_client *client) {
    fleetlog_text session = {client->subject.session, client->subject.session_size};
    return session;
}

/* Device and session have the same numbers in a LogBatch and a GetSessionRequest. */
static bool encode_identity(pb_ostream_t *stream, const fleetlog_client *client) {
    const fleetlog_drop *subject = &client->subject;
    if (!fleetlog_encode_text(stream, fleetlog_v1_LogBatch_device_id_tag, client->config->device_id) ||
        !fleetlog_encode_text(stream, fleetlog_v1_LogBatch_session_id_tag, subject_session(client)))
        return false;
    if (client->job == JOB_PROGRESS) return true;
    return fleetlog_encode_number(stream, fleetlog_v1_LogBatch_sequence_tag, subject->first) &&
           (client->job == JOB_BATCH || fleetlog_encode_dropped(stream, subject->last, subject->reason));
}

static uint32_t payload_size(const fleetlog_client *client) {
    return client->job == JOB_BATCH ? client->frame.size : 0;
}

/* The bytes of the body before the payload. */
static bool encode_start(pb_ostream_t *stream, const fleetlog_client *client) {
    if (client->job == JOB_PROGRESS) return encode_identity(stream, client);
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    return encode_identity(&sizing, client) &&
           pb_encode_tag(stream, PB_WT_STRING, fleetlog_v1_PushLogsRequest_batch_tag) &&
           pb_encode_varint(stream, sizing.bytes_written + payload_size(client)) && encode_identity(stream, client);
}

/* The bytes after it: the uptime, but not with a batch of an earlier boot. */
static bool encode_end(pb_ostream_t *stream, const fleetlog_client *client) {
    bool is_this_boot = fleetlog_is_current(client, client->subject.session, client->subject.session_size);
    if (client->job != JOB_BATCH || !is_this_boot) return true;
    return fleetlog_encode_fixed64(
        stream, fleetlog_v1_PushLogsRequest_uptime_nano_tag, client->uptime_ms * NANO_PER_MS);
}

static uint32_t body_size(const fleetlog_client *client) {
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    encode_start(&sizing, client);
    encode_end(&sizing, client);
    return (uint32_t)sizing.bytes_written + payload_size(client);
}

static void put(fleetlog_client *client, const void *data, size_t size) {
    memcpy(client->config->io + client->filled, data, size);
    client->filled += (uint32_t)size;
}

static void put_string(fleetlog_client *client, const char *string) {
    put(client, string, strlen(string));
}

static void put_number(fleetlog_client *client, uint32_t number) {
    char digits[10];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(client, digits + at, sizeof digits - at);
}

static void put_head(fleetlog_client *client) {
    put_string(client, "POST /fleetlog.v1.IngestService/");
    put_string(client, client->job == JOB_PROGRESS ? "GetSession" : "PushLogs");
    put_string(client, " HTTP/1.1\r\nHost: ");
    put(client, client->config->host.data, client->config->host.size);
    put_string(client, "\r\nContent-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nContent-Length: ");
    put_number(client, body_size(client));
    put_string(client, "\r\n");
}

/* Puts as much of the request into the buffer as there is room for; false: the storage cannot be read. */
static bool fill(fleetlog_client *client) {
    const fleetlog_config *config = client->config;
    client->filled = client->sent = 0;
    while (client->part != PART_NONE) {
        size_t room = config->io_size - client->filled;
        pb_ostream_t stream = pb_ostream_from_buffer(config->io + client->filled, room);
        const char *headers = client->headers ? client->headers + client->part_at : "";
        size_t left = client->part == PART_HEADERS ? strlen(headers) : payload_size(client) - client->part_at;
        size_t size = left < room ? left : room;
        switch (client->part) {
            case PART_HEAD:
                put_head(client);
                break;
            case PART_HEADERS:
                put(client, headers, size);
                client->part_at += (uint32_t)size;
                if (size < left) return true;
                break;
            case PART_START:
                if (room < START_MAX) return true;
                if (!pb_write(&stream, (const uint8_t *)"\r\n", 2) || !encode_start(&stream, client)) return false;
                client->filled += (uint32_t)stream.bytes_written;
                break;
            case PART_PAYLOAD:
                if (size > 0 && !fleetlog_store_payload(client, client->part_at, config->io + client->filled, size))
                    return false;
                client->filled += (uint32_t)size;
                client->part_at += (uint32_t)size;
                if (size < left) return true;
                break;
            default:
                if (!encode_end(&stream, client)) return true; /* no room */
                client->filled += (uint32_t)stream.bytes_written;
        }
        client->part += 1;
        client->part_at = 0;
    }
    return true;
}

static void begin_request(fleetlog_client *client) {
    const fleetlog_config *config = client->config;
    client->job = choose_job(client);
    if (client->job == JOB_NONE) { /* dropped while connecting */
        client->state = IDLE;
        return;
    }
    choose_subject(client);
    client->headers = config->headers ? config->headers(config->context) : NULL;
    client->uptime_ms = client->now_ms;
    client->deadline_ms = client->now_ms + or_default(config->ack_timeout_ms, 30000);
    client->part = PART_HEAD;
    client->part_at = client->filled = client->sent = 0;
    fleetlog_response_begin(&client->response);
    client->state = SENDING;
}

/* ── Failures ── */

static void pause_for(fleetlog_client *client, uint32_t delay_ms) {
    client->deadline_ms = client->now_ms + delay_ms;
    client->state = PAUSED;
}

/* From 0 to `most`, which is a time in milliseconds: far below 2^32. */
static uint32_t random_up_to(const fleetlog_client *client, uint32_t most) {
    return client->config->random(client->config->context) % (most + 1);
}

static uint32_t backoff(fleetlog_client *client) {
    uint32_t delay_max = or_default(client->config->backoff_cap_ms, 5000);
    if (delay_max > DELAY_MAX_MS) delay_max = DELAY_MAX_MS;
    uint32_t base = or_default(client->config->backoff_base_ms, 100);
    if (base < (delay_max >> client->attempts)) delay_max = base << client->attempts;
    if (client->attempts < 16) client->attempts += 1;
    return random_up_to(client, delay_max);
}

static void close_connection(fleetlog_client *client) {
    client->config->socket.close(client->config->socket.context);
    client->is_connected = client->is_reused = false;
}

static void broken(fleetlog_client *client, const char *reason) {
    /* The server may end an idle connection at any time. The next one is new, so this cannot go on. */
    bool at_once = client->is_reused && client->response.total == 0 && client->now_ms < client->deadline_ms;
    close_connection(client);
    emit_text(client, FLEETLOG_RECONNECT, 0, fleetlog_string(reason));
    if (at_once)
        client->state = IDLE;
    else
        pause_for(client, backoff(client));
}

/* ── The response ── */

static void acknowledged(fleetlog_client *client, const fleetlog_ack *ack) {
    fleetlog_event event = new_event(client, FLEETLOG_ACKNOWLEDGED, 0, fleetlog_string(NULL));
    event.accepted = ack->accepted;
    event.rejected = ack->rejected;
    event.server_time_unix_nano = ack->server_time_unix_nano;
    if (ack->server_time_unix_nano > 0) {
        client->server_time_unix_nano = ack->server_time_unix_nano;
        client->server_time_ms = client->now_ms;
    }
    if (client->job == JOB_DROP) {
        fleetlog_store_declared(client);
        return;
    }
    /* Reported before it is forgotten: a loss of power between the two repeats the report, and loses none. */
    if (client->job == JOB_BATCH && !fleetlog_store_is_acknowledged(client)) {
        fleetlog_ack again;
        fleetlog_event rejection = event;
        fleetlog_read_ack(
            client->config->io, client->response.body_size, client->response.is_cut, &again, client, &rejection);
        fleetlog_emit(client, &event);
    }
    fleetlog_store_acknowledged(client, false);
}

static bool begins_with(fleetlog_text text, const char *what) {
    size_t size = strlen(what);
    return text.size >= size && memcmp(text.data, what, size) == 0;
}

static void refused(fleetlog_client *client, const fleetlog_error *error) {
    const fleetlog_drop *subject = &client->subject;
    /* What the device says about itself is refused in every batch: it is not sent again. */
    if (client->job == JOB_BATCH && !begins_with(error->message, "batch.device."))
        fleetlog_not_stored(client, subject->session, subject->session_size, subject->first);
    emit_text(
        client, client->job == JOB_BATCH ? FLEETLOG_REFUSED : FLEETLOG_FAILED, error->code, error->message);
    /* A declaration that is refused cannot be declared in turn: the server shows its batches as missing. */
    if (client->job == JOB_DROP)
        fleetlog_store_declared(client);
    else if (!fleetlog_store_refused(client))
        fleetlog_store_acknowledged(client, true);
}

static void not_accepted(fleetlog_client *client, const fleetlog_error *error) {
    bool is_later =
        error->code == FLEETLOG_CODE_RESOURCE_EXHAUSTED || error->code == FLEETLOG_CODE_UNAVAILABLE;
    uint32_t delay_ms = error->delay_ms < DELAY_MAX_MS ? error->delay_ms : DELAY_MAX_MS;
    /* Not earlier than asked, and not all devices at once. */
    delay_ms = is_later && delay_ms > 0 ? delay_ms + random_up_to(client, delay_ms / 8) : backoff(client);
    fleetlog_event event =
        new_event(client, is_later ? FLEETLOG_LATER : FLEETLOG_FAILED, error->code, error->message);
    event.delay_ms = delay_ms;
    fleetlog_emit(client, &event);
    pause_for(client, delay_ms);
}

#if FLEETLOG_COMMITTED
static void progressed(fleetlog_client *client, const uint8_t *body, size_t size) {
    const fleetlog_config *config = client->config;
    uint64_t timeout_ms = (uint64_t)or_default(config->commit_timeout_ms, 60000) << client->rewinds;
    fleetlog_store_committed(client, body, size);
    /* Acknowledged and not in PostgreSQL after that long: Redis may have lost it. */
    if (client->has_oldest && client->now_ms - client->oldest_ms >= timeout_ms) fleetlog_store_rewind(client);
}
#endif

static void handle_response(fleetlog_client *client) {
    const fleetlog_response *response = &client->response;
    const uint8_t *body = client->config->io;
    fleetlog_ack ack;
    fleetlog_error error;
    client->state = IDLE;
    client->is_reused = true;
    if (!response->is_kept) close_connection(client);
#if FLEETLOG_COMMITTED
    if (client->job == JOB_PROGRESS) {
        client->polled_ms = client->now_ms;
        client->is_progress_known = response->status == 200;
        if (client->is_progress_known) progressed(client, body, response->body_size);
        return;
    }
#endif
    if (response->status != 200) {
        fleetlog_read_error(response, body, &error);
        if (error.code == FLEETLOG_CODE_INVALID_ARGUMENT)
            refused(client, &error);
        else
            not_accepted(client, &error);
        return;
    }
    if (!fleetlog_read_ack(body, response->body_size, response->is_cut, &ack, client, NULL) || ack.has_error ||
        ack.sequence != client->subject.first) {
        broken(client, "no acknowledgement of the batch");
        return;
    }
    client->attempts = 0;
    acknowledged(client, &ack);
}

/* ── The main loop ── */

static bool is_late(fleetlog_client *client, const char *reason) {
    if (client->now_ms < client->deadline_ms) return false;
    broken(client, reason);
    return true;
}

/* Each step returns whether there is more to do at once. */

static bool step_idle(fleetlog_client *client) {
    const fleetlog_config *config = client->config;
    uint8_t unasked;
    if (choose_job(client) == JOB_NONE) return false;
    client->response.total = 0;
    client->deadline_ms = client->now_ms + or_default(config->ack_timeout_ms, 30000);
    if (!client->is_connected)
        client->state = CONNECTING;
    else if (client->is_reused && config->socket.receive(config->socket.context, &unasked, 1) != 0)
        broken(client, "the connection ended"); /* or has what would be taken for the response to the next request */
    else
        begin_request(client);
    return true;
}

static bool step_connecting(fleetlog_client *client) {
    int result = client->config->socket.connect(client->config->socket.context);
    if (result == 0) return is_late(client, "connecting took too long");
    if (result < 0) {
        broken(client, "the connection failed");
        return true;
    }
    client->is_connected = true;
    begin_request(client);
    return true;
}

static bool step_sending(fleetlog_client *client) {
    const fleetlog_config *config = client->config;
    if (client->sent == client->filled) {
        if (!fill(client)) {
            broken(client, "the storage cannot be read");
            return true;
        }
        if (client->filled == 0) {
            client->state = RECEIVING;
            return true;
        }
    }
    int size = config->socket.send(config->socket.context, config->io + client->sent, client->filled - client->sent);
    if (size == 0) return is_late(client, "sending took too long");
    if (size < 0 || (uint32_t)size > client->filled - client->sent)
        broken(client, "the connection ended");
    else
        client->sent += (uint32_t)size;
    return true;
}

static bool step_receiving(fleetlog_client *client) {
    const fleetlog_config *config = client->config;
    uint8_t data[64];
    int size = config->socket.receive(config->socket.context, data, sizeof data);
    if (size == 0) return is_late(client, "no response in time");
    fleetlog_progress progress =
        size < 0 || (size_t)size > sizeof data
            ? fleetlog_response_end(&client->response)
            : fleetlog_response_read(&client->response, config->io, config->io_size, data, (size_t)size);
    if (progress == FLEETLOG_MALFORMED)
        broken(client, size < 0 ? "the connection ended" : "the response is malformed");
    else if (progress == FLEETLOG_DONE)
        handle_response(client);
    else /* also a server that sends a byte now and then */
        is_late(client, "no response in time");
    return true;
}

static bool step_paused(fleetlog_client *client) {
    if (client->now_ms < client->deadline_ms) return false;
    client->state = IDLE;
    return true;
}

static uint32_t until(const fleetlog_client *client, uint64_t time_ms, uint32_t wait_ms) {
    if (time_ms <= client->now_ms) return 0;
    return time_ms - client->now_ms < wait_ms ? (uint32_t)(time_ms - client->now_ms) : wait_ms;
}

uint32_t fleetlog_poll(fleetlog_client *client, uint64_t now_ms) {
    static bool (*const steps[])(fleetlog_client *) = {
        step_idle, step_connecting, step_sending, step_receiving, step_paused};
    uint32_t age_ms = or_default(client->config->batch_age_ms, 1000);
    client->now_ms = now_ms;
    /* A batch that cannot be stored is reported by an event. */
    if (client->has_records && now_ms - client->opened_ms >= age_ms) fleetlog_flush(client);
    for (int step = 0; steps[client->state](client); step += 1)
        if (step == STEPS_MAX) return 0;

    uint32_t wait_ms = client->state == IDLE || client->state == PAUSED ? age_ms : SOCKET_MS;
    if (client->state != IDLE) wait_ms = until(client, client->deadline_ms, wait_ms);
    return client->has_records ? until(client, client->opened_ms + age_ms, wait_ms) : wait_ms;
}

bool fleetlog_pending(const fleetlog_client *client) {
#if FLEETLOG_COMMITTED
    if (client->has_oldest) return true;
#endif
    return client->has_records || client->has_frame || client->drop_count > 0;
}

uint64_t fleetlog_time(const fleetlog_client *client, uint64_t now_ms) {
    if (client->server_time_unix_nano == 0) return 0;
    return client->server_time_unix_nano + (now_ms - client->server_time_ms) * NANO_PER_MS;
}

fleetlog_text fleetlog_session(const fleetlog_client *client) {
    fleetlog_text session = {client->session, client->session_size};
    return session;
}

uint64_t fleetlog_sequence(const fleetlog_client *client) {
    return client->sequence;
}
