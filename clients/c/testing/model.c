/*
 * The client against a flash that loses power at any write and a server that fails in every way, from a seed.
 *
 *     model FIRST LAST      runs these seeds; after each, every batch that was kept must be stored, refused or reported
 *                           as dropped, no number may have had two contents, and what the device says about itself must be
 *                           stored for the last boot
 *     model stack           prints the high-water mark of the stack over some seeds
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "../fleetlog.h"

#define SECTOR_SIZE 1024u
#define SECTORS_MAX 16u
#define BATCHES_MAX 4096u
#define BOOTS 12

static uint64_t seed;
static uint32_t random32(void *context) {
    (void)context;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}
static uint32_t below(uint32_t bound) {
    return random32(NULL) % bound;
}
static bool one_in(uint32_t count) {
    return below(count) == 0;
}

static void check(bool is_right, const char *what) {
    if (is_right) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* ── Flash ── */

static uint8_t flash[SECTOR_SIZE * SECTORS_MAX];
static bool is_written[sizeof flash / FLEETLOG_WRITE_UNIT]; /* since they were erased, if only with 0xff */
static uint32_t fuel; /* writes before the power is lost; 0: never */
static jmp_buf power_lost;
static bool flash_fails; /* now and then, after a part of the work */
static bool had_flash_failures;

static bool is_last(void) {
    return fuel > 0 && --fuel == 0;
}
static bool flash_read(void *context, uint32_t position, void *data, size_t size) {
    (void)context;
    check(position + size <= sizeof flash, "a read outside the flash");
    memcpy(data, flash + position, size);
    return true;
}
static bool flash_write(void *context, uint32_t position, const void *data, size_t size) {
    (void)context;
    bool is_torn = is_last();
    check(position + size <= sizeof flash, "a write outside the flash");
    check(position % FLEETLOG_WRITE_UNIT == 0 && size % FLEETLOG_WRITE_UNIT == 0, "a write that is not aligned");
    for (size_t index = 0; index < size; index += 1) check(flash[position + index] == 0xff, "a write to bytes not erased");
    bool is_failing = flash_fails && size > FLEETLOG_WRITE_UNIT && one_in(50); /* not a mark */
    if (is_torn || is_failing) size = below((uint32_t)size);
    memcpy(flash + position, data, size);
    for (size_t done = 0; done < size; done += FLEETLOG_WRITE_UNIT) {
        check(!is_written[(position + done) / FLEETLOG_WRITE_UNIT], "a second write to the same bytes");
        is_written[(position + done) / FLEETLOG_WRITE_UNIT] = true;
    }
    if (is_torn) longjmp(power_lost, 1);
    return !is_failing;
}
static bool flash_erase(void *context, uint32_t position) {
    (void)context;
    bool is_torn = is_last();
    check(position % SECTOR_SIZE == 0, "an erase that is not of a sector");
    if (flash_fails && one_in(10)) return false;
    uint32_t from = is_torn && one_in(2) ? below(SECTOR_SIZE) : 0;
    memset(flash + position + from, 0xff, is_torn && from == 0 ? below(SECTOR_SIZE) : SECTOR_SIZE - from);
    memset(is_written + position / FLEETLOG_WRITE_UNIT, 0, SECTOR_SIZE / FLEETLOG_WRITE_UNIT);
    if (is_torn) longjmp(power_lost, 1);
    return true;
}

/* ── What became of the batches ── */

typedef struct {
    char session[16];
    uint64_t sequence;
    uint8_t content[SECTOR_SIZE]; /* of the first request with this number */
    size_t size;
    bool is_kept, is_acknowledged, is_stored, is_committed, is_refused, is_dropped, is_released;
    bool has_device, is_device_refused;
} batch;

static batch batches[BATCHES_MAX];
static size_t batch_count;

static batch *find_batch(const void *session, uint64_t sequence) {
    for (size_t index = batch_count; index-- > 0;)
        if (batches[index].sequence == sequence && memcmp(batches[index].session, session, 16) == 0) return &batches[index];
    check(batch_count < BATCHES_MAX, "too many batches for the model");
    batch *added = &batches[batch_count++];
    memset(added, 0, sizeof *added);
    memcpy(added->session, session, 16);
    added->sequence = sequence;
    return added;
}

static void on_event(void *context, const fleetlog_event *event) {
    (void)context;
    if (event->type == FLEETLOG_ACKNOWLEDGED) find_batch(event->session.data, event->first)->is_acknowledged = true;
    if (event->type == FLEETLOG_RELEASED) find_batch(event->session.data, event->first)->is_released = true;
    if (event->type == FLEETLOG_REFUSED) find_batch(event->session.data, event->first)->is_refused = true;
    if (event->type == FLEETLOG_DROPPED) {
        for (uint64_t sequence = event->first; sequence <= event->last; sequence += 1) {
            batch *dropped = find_batch(event->session.data, sequence);
            check(!dropped->is_acknowledged, "an acknowledged batch is dropped");
            dropped->is_dropped = true;
        }
    }
}

/* ── The server ── */

static bool is_offline, is_healthy;
static bool refuses_device; /* what the device says about itself: then it must not say it twice */
static uint8_t request[8192], response[8192];
static size_t request_size, response_size, response_at;
static bool is_closing;

static uint64_t read_varint(const uint8_t **at) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
}

/* Without sprintf, whose stack would be measured too. */
static void add(const void *data, size_t size) {
    memcpy(response + response_size, data, size);
    response_size += size;
}
static void add_string(const char *string) {
    add(string, strlen(string));
}
static void add_number(size_t number, size_t base) {
    if (number >= base) add_number(number / base, base);
    add(&"0123456789abcdef"[number % base], 1);
}

static void respond(const char *status, const char *headers, const void *body, size_t size) {
    bool is_chunked = one_in(3);
    response_at = response_size = 0;
    add_string("HTTP/1.1 ");
    add_string(status);
    add_string("\r\n");
    add_string(headers);
    add_string(is_chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: ");
    add_number(size, is_chunked ? 16 : 10);
    add_string(is_chunked ? ";x=y\r\n" : "\r\n\r\n");
    add(body, size);
    if (is_chunked) add_string(size ? "\r\n0\r\n\r\n" : "\r\n");
    if (one_in(10)) { /* cut */
        response_size = below((uint32_t)response_size);
        is_closing = true;
    }
}

static void respond_error(const char *status, const char *headers, const char *json) {
    respond(status, headers, json, strlen(json));
}

static void serve_progress(const uint8_t *at, const uint8_t *end) {
    static uint8_t body[4096];
    size_t size = 0;
    const uint8_t *session = NULL;
    while (at < end) {
        uint64_t tag = read_varint(&at);
        uint64_t length = read_varint(&at);
        if (tag == 18) session = at;
        at += length;
    }
    check(session != NULL, "a GetSession without a session");
    if (one_in(4) && !is_healthy) {
        respond_error("503 Service Unavailable", "", "{\"code\":\"unavailable\"}");
        return;
    }
    for (size_t index = 0; index < batch_count; index += 1) {
        batch *found = &batches[index];
        if (memcmp(found->session, session, 16) != 0 || !(found->is_stored || found->is_committed)) continue;
        if (!is_healthy && one_in(3)) continue;
        found->is_committed = true;
        if (size + 16 > sizeof body || found->sequence > 16383) continue;
        uint8_t low = (uint8_t)(found->sequence % 128 | 128);
        uint8_t high = (uint8_t)(found->sequence / 128);
        uint8_t range[] = {found->is_refused ? 18 : 10, 6, 8, low, high, 16, low, high};
        memcpy(body + size, range, sizeof range);
        size += sizeof range;
    }
    respond("200 OK", "", body, size);
}

static void serve_push(const uint8_t *at, const uint8_t *end) {
    check(*at == 10, "a PushLogsRequest does not begin with its batch");
    at += 1;
    uint64_t batch_size = read_varint(&at);
    const uint8_t *content = at;
    const uint8_t *batch_end = at + batch_size;
    check(batch_end == end || (batch_end + 9 == end && *batch_end == 25), "bytes after the batch are no uptime");
    const uint8_t *session = NULL;
    uint64_t sequence = 0;
    bool is_declaration = false;
    bool has_device = false;
    while (at < batch_end) {
        uint64_t tag = read_varint(&at);
        if (tag == 24) {
            sequence = read_varint(&at);
            continue;
        }
        check((tag & 7) == 2, "a field of the batch of another type");
        uint64_t length = read_varint(&at);
        if (tag == 18) session = at;
        if (tag == 42) is_declaration = true;
        if (tag == 58) has_device = true;
        at += length;
    }
    check(at == batch_end && session && sequence > 0, "a batch without session or number");
    batch *found = find_batch(session, sequence);
    bool is_bad = !is_declaration && (sequence + session[0]) % 13 == 0;

    uint32_t fate = is_healthy ? 9 : below(14);
    if (fate == 0) { /* nothing arrives */
        is_closing = true;
        return;
    }
    if (fate == 1) {
        respond_error("429 Too Many Requests", "Retry-After: 1\r\n", "{\"code\":\"resource_exhausted\",\"details\":[]}");
        return;
    }
    if (fate == 2) {
        respond_error("503 Service Unavailable", "",
            "{\"code\":\"unavailable\",\"details\":[{\"type\":\"google.rpc.RetryInfo\",\"value\":\"CgIIAQ\"}]}");
        return;
    }
    if (fate == 3) {
        respond_error("502 Bad Gateway", "Connection: close\r\n", "<html>");
        return;
    }
    if (refuses_device && has_device) {
        for (size_t index = 0; index < batch_count; index += 1)
            check(!batches[index].is_device_refused || &batches[index] == found ||
                memcmp(batches[index].session, found->session, 16) != 0, "what was refused about the device is sent again");
        found->is_device_refused = true;
        respond_error("400 Bad Request", "", "{\"code\":\"invalid_argument\",\"message\":\"batch.device.site is bad\"}");
        return;
    }
    if (is_bad) {
        respond_error("400 Bad Request", "", "{\"code\":\"invalid_argument\",\"message\":\"the \\\"batch\\\" is bad\"}");
        return;
    }
    if (!found->is_stored && !found->is_committed && found->size == 0) {
        check(batch_size <= sizeof found->content, "a batch that is too large");
        memcpy(found->content, content, batch_size);
        found->size = batch_size;
    }
    /* Where the flash failed and the power after it, a declaration that was sent and not kept may become another one. */
    check((is_declaration && had_flash_failures) ||
        (found->size == batch_size && memcmp(found->content, content, batch_size) == 0), "a number with two contents");
    found->is_stored = true;
    found->has_device |= has_device;
    if (fate == 4) { /* the acknowledgement is lost */
        is_closing = true;
        return;
    }
    uint8_t ack[] = {10, 14, 8, (uint8_t)(sequence % 128 | 128), (uint8_t)(sequence / 128 % 128 | 128),
        (uint8_t)(sequence / 16384), 16, 1, 49, 1, 2, 3, 4, 5, 6, 7, 8};
    ack[1] = sizeof ack - 2;
    respond("200 OK", "Content-Type: application/proto\r\n", ack, sizeof ack);
}

static int server_connect(void *context) {
    (void)context;
    if (is_offline) return one_in(2) ? -1 : 0;
    if (!is_healthy && one_in(3)) return 0;
    request_size = response_size = response_at = 0;
    is_closing = false;
    return 1;
}
static void server_close(void *context) {
    (void)context;
    request_size = response_size = response_at = 0;
}
static int server_send(void *context, const uint8_t *data, size_t size) {
    (void)context;
    if (is_closing) return -1;
    if (!is_healthy && one_in(3)) return 0;
    if (!is_healthy && one_in(40)) return -1;
    if (!is_healthy) size = 1 + below((uint32_t)size);
    check(request_size + size < sizeof request, "a request that is too large");
    memcpy(request + request_size, data, size);
    request_size += size;
    request[request_size] = 0;
    char *body = strstr((char *)request, "\r\n\r\n");
    char *length = strstr((char *)request, "Content-Length: ");
    if (!body || !length) return (int)size;
    uint8_t *begin = (uint8_t *)body + 4;
    uint8_t *end = begin + atoi(length + 16);
    check(request + request_size <= end, "bytes after the request");
    if (request + request_size < end) return (int)size;
    if (strncmp((char *)request, "POST /fleetlog.v1.IngestService/GetSession ", 43) == 0)
        serve_progress(begin, end);
    else
        serve_push(begin, end);
    request_size = 0;
    return (int)size;
}
static int server_receive(void *context, uint8_t *data, size_t size) {
    (void)context;
    if (response_at == response_size) return is_closing ? -1 : 0;
    if (!is_healthy && one_in(3)) return 0;
    size_t left = response_size - response_at;
    if (size > left) size = left;
    if (!is_healthy) size = 1 + below((uint32_t)size);
    memcpy(data, response + response_at, size);
    response_at += size;
    return (int)size;
}

/* ── A life of several boots ── */

static fleetlog_client client;
static uint8_t batch_buffer[512], io[1024];

static void log_one(void) {
    char message[200];
    size_t size = below(sizeof message);
    memset(message, 'a' + (char)below(26), size);
    fleetlog_attribute attributes[] = {
        {.key = fleetlog_string("n"), .type = FLEETLOG_INT, .value.integer = -5},
        {.key = fleetlog_string("x"), .type = FLEETLOG_DOUBLE, .value.number = 0.5},
        {.key = fleetlog_string("s"), .type = FLEETLOG_STRING, .value.string = {message, size / 8}},
        {.key = fleetlog_string("b"), .type = FLEETLOG_BOOL, .value.boolean = true},
    };
    fleetlog_record record = {.severity = 9, .message = {message, size}, .attributes = attributes, .attribute_count = below(5)};
    check(fleetlog_log(&client, &record) == FLEETLOG_OK || flash_fails, "a record is not kept");
}

static void flush(void) {
    uint64_t sequence = fleetlog_sequence(&client);
    fleetlog_text session = fleetlog_session(&client);
    check(fleetlog_flush(&client) == FLEETLOG_OK || flash_fails, "a batch is not kept");
    if (fleetlog_sequence(&client) != sequence) find_batch(session.data, sequence)->is_kept = true;
}

/* Whether the server knows what the device said about itself in this boot. */
static bool is_device_stored(void) {
    for (size_t index = 0; index < batch_count; index += 1)
        if (batches[index].has_device && memcmp(batches[index].session, fleetlog_session(&client).data, 16) == 0) return true;
    return false;
}

static void run(uint64_t number, bool with_power_cuts) {
    bool keeps = number % 2 == 1;
    fleetlog_config config = {
        .device_id = fleetlog_string("model"), .host = fleetlog_string("model"), .firmware = fleetlog_string("1.0"),
        .random = random32, .event = on_event,
        .socket = {NULL, server_connect, server_send, server_receive, server_close},
        .flash = {NULL, flash_read, flash_write, flash_erase},
        .batch = batch_buffer, .batch_size = sizeof batch_buffer, .io = io, .io_size = sizeof io,
        .sector_size = SECTOR_SIZE, .sector_count = 3 + keeps + (uint32_t)(number / 2 % (SECTORS_MAX - 3)),
        .keep_until_committed = keeps, .commit_poll_ms = 200, .commit_timeout_ms = 2000, .ack_timeout_ms = 2000,
    };
    volatile int boot = 0;
    seed = number * 0x9e3779b97f4a7c15u + 1;
    refuses_device = number % 8 == 5;
    flash_fails = had_flash_failures = with_power_cuts && number % 4 == 0;
    batch_count = 0;
    for (size_t index = 0; index < sizeof flash; index += 1) flash[index] = (uint8_t)random32(NULL); /* as it was sold */
    if (setjmp(power_lost)) boot += 1;
    is_healthy = boot >= BOOTS;
    if (is_healthy) flash_fails = false;
    is_offline = false;
    fuel = is_healthy || !with_power_cuts ? 0 : 1 + below(60);
    check(fleetlog_init(&client, &config) == FLEETLOG_OK, "no start");
    uint64_t now_ms = 0;
    uint32_t devices_sent = 0;
    for (uint32_t turn = 0;; turn += 1) {
        bool is_over = turn > (with_power_cuts ? 3000u : 600u);
        if (is_over && !with_power_cuts) is_healthy = true;
        if (is_healthy && (boot >= BOOTS || is_over)) {
            if (!fleetlog_pending(&client)) {
                if (refuses_device || is_device_stored()) break;
                check(devices_sent++ < 4, "what the device says about itself is not stored");
                log_one();
                flush();
            }
            check(turn < 200000, "it does not come to an end");
            is_offline = false;
        } else {
            if (is_over) longjmp(power_lost, 1);
            if (one_in(20)) is_offline = !is_offline;
            if (one_in(2)) log_one();
            if (one_in(4)) flush();
            if (keeps && one_in(200)) /* Redis is lost */
                for (size_t index = 0; index < batch_count; index += 1) batches[index].is_stored = false;
        }
        uint32_t wait_ms = fleetlog_poll(&client, now_ms);
        now_ms += is_healthy ? wait_ms + 1 : 1 + below(wait_ms + 100);
    }
    for (size_t index = 0; index < batch_count; index += 1) {
        const batch *found = &batches[index];
        if (!found->is_kept || found->is_stored || found->is_committed || found->is_refused || found->is_dropped ||
            found->is_released)
            continue;
        fprintf(stderr, "%.16s %llu\n", found->session, (unsigned long long)found->sequence);
        check(false, "a batch that was kept is lost");
    }
}

/* ── The stack ── */

#define STACK_SIZE 65536u
static uint8_t stack[STACK_SIZE + 65536] __attribute__((aligned(4096)));

static void *run_some(void *context) {
    (void)context;
    for (uint64_t number = 1; number <= 60; number += 1) run(number, false);
    return NULL;
}
static void *run_nothing(void *context) {
    return context;
}

static size_t high_water(void *(*work)(void *)) {
    pthread_attr_t attributes;
    pthread_t thread;
    memset(stack, 0xa5, sizeof stack);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, sizeof stack);
    check(pthread_create(&thread, &attributes, work, NULL) == 0, "no thread");
    pthread_join(thread, NULL);
    size_t untouched = 0;
    while (stack[untouched] == 0xa5) untouched += 1;
    return sizeof stack - untouched;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "stack") == 0) {
        size_t all = high_water(run_some);
        printf("{\"stack\":%zu,\"client\":%zu}\n", all - high_water(run_nothing), sizeof client);
        return 0;
    }
    check(argc == 3, "usage: model FIRST LAST, or model stack");
    for (uint64_t number = strtoull(argv[1], NULL, 10); number <= strtoull(argv[2], NULL, 10); number += 1) {
        fprintf(stderr, "seed %llu\r", (unsigned long long)number);
        run(number, true);
    }
    printf("ok\n");
    return 0;
}
