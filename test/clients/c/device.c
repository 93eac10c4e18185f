/*
 * A device of the fault matrix: reads batches as JSON lines, sends them by the client library, and prints each outcome as
 * a line of JSON. It has malloc, unlike the library.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fleetlog_posix.h"
#include "fleetlog/v1/log.pb.h"

#define BATCH_MAX (1024u * 1024u)
#define SECTOR_SIZE (BATCH_MAX + 4096u)
#define SECTORS 8u
/* Batches that wait for an outcome; beyond it nothing is read. */
static uint64_t waiting_max = 6;
static bool reports_kept;

static struct {
    uint64_t *ids; /* by sequence */
    size_t ids_max;
    uint64_t settled;
    fleetlog_text session;
    char *rejections; /* of the batch that is acknowledged next, as JSON */
    size_t rejections_size;
} device;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void *grow(void *memory, size_t size) {
    void *grown = realloc(memory, size);
    if (!grown) fail("memory");
    return grown;
}

/* ── What is printed ── */

/* Text of the server as a JSON string; what it escaped in its JSON stays so. */
static void print_text(FILE *out, fleetlog_text text, bool is_escaped) {
    const uint8_t *bytes = text.data;
    fputc('"', out);
    for (size_t index = 0; index < text.size; index += 1) {
        if (bytes[index] < 0x20 || ((bytes[index] == '"' || bytes[index] == '\\') && !is_escaped))
            fprintf(out, "\\u%04x", bytes[index]);
        else
            fputc(bytes[index], out);
    }
    fputc('"', out);
}

static bool is_current(const fleetlog_event *event) {
    return event->session.size == device.session.size &&
           memcmp(event->session.data, device.session.data, device.session.size) == 0;
}

/* Begins a line about a batch. */
static void print_event(const char *name, const fleetlog_event *event) {
    printf("{\"event\":\"%s\",\"session\":\"%.*s\",\"sequence\":\"%" PRIu64 "\"", name, (int)event->session.size,
           (const char *)event->session.data, event->first);
    if (!is_current(event))
        printf(",\"recovered\":true");
    else if (event->first < device.ids_max)
        printf(",\"id\":%" PRIu64, device.ids[event->first]);
}

static void settle(const fleetlog_event *event) {
    if (is_current(event)) device.settled += 1;
}

static void on_event(void *context, const fleetlog_event *event) {
    (void)context;
    switch (event->type) {
        case FLEETLOG_REJECTED: {
            char *text = NULL;
            size_t size = 0;
            FILE *out = open_memstream(&text, &size);
            if (!out) fail("memory");
            fprintf(out, "%s{\"index\":%" PRIu32 ",\"reason\":", device.rejections_size ? "," : "", event->index);
            print_text(out, event->text, false);
            fputc('}', out);
            fclose(out);
            device.rejections = grow(device.rejections, device.rejections_size + size + 1);
            memcpy(device.rejections + device.rejections_size, text, size + 1);
            device.rejections_size += size;
            free(text);
            return;
        }
        case FLEETLOG_ACKNOWLEDGED:
            print_event("acknowledged", event);
            printf(",\"accepted\":%" PRIu32 ",\"rejections\":[%s]}\n", event->accepted,
                   device.rejections_size ? device.rejections : "");
            device.rejections_size = 0;
            settle(event);
            break;
        case FLEETLOG_REFUSED:
            print_event("refused", event);
            printf(",\"message\":");
            print_text(stdout, event->text, true);
            printf("}\n");
            settle(event);
            break;
        case FLEETLOG_DROPPED:
            print_event("dropped", event);
            printf(",\"first\":\"%" PRIu64 "\",\"last\":\"%" PRIu64 "\"}\n", event->first, event->last);
            settle(event);
            break;
        case FLEETLOG_COMMITTED_BATCH:
            print_event("committed", event);
            printf(",\"through\":\"%" PRIu64 "\"}\n", event->first);
            break;
        case FLEETLOG_RELEASED:
            print_event("released", event);
            printf("}\n");
            break;
        case FLEETLOG_LATER:
            printf("{\"event\":\"later\",\"code\":%" PRIu32 ",\"delayMs\":%" PRIu32 "}\n", event->code, event->delay_ms);
            break;
        case FLEETLOG_RECONNECT:
            printf("{\"event\":\"reconnect\",\"reason\":");
            print_text(stdout, event->text, false);
            printf("}\n");
            break;
        case FLEETLOG_FAILED:
            /* Killed while it wrote a batch, it finds a part of it; other errors than a refused caller go away. */
            printf("{\"event\":\"%s\",\"code\":%" PRIu32 ",\"message\":",
                   event->code == 0 ? "damaged" : event->code >= 100 ? "later" : "failed", event->code);
            print_text(stdout, event->text, event->code > 0 && event->code < 100);
            printf("}\n");
            break;
    }
    fflush(stdout);
}

/* ── What is read ── */

static fleetlog_text to_text(const pb_bytes_array_t *bytes) {
    fleetlog_text text = {bytes ? bytes->bytes : NULL, bytes ? bytes->size : 0};
    return text;
}

static void log_record(fleetlog_client *client, const uint8_t *bytes, size_t size) {
    fleetlog_v1_LogRecord message = fleetlog_v1_LogRecord_init_zero;
    pb_istream_t stream = pb_istream_from_buffer(bytes, size);
    if (!pb_decode(&stream, fleetlog_v1_LogRecord_fields, &message)) fail(PB_GET_ERROR(&stream));
    fleetlog_attribute *attributes = grow(NULL, (message.attributes_count + 1u) * sizeof *attributes);
    for (pb_size_t index = 0; index < message.attributes_count; index += 1) {
        const fleetlog_v1_Attribute *from = &message.attributes[index];
        fleetlog_attribute attribute = {.key = to_text(from->key)};
        switch (from->which_value) {
            case fleetlog_v1_Attribute_string_value_tag:
                attribute.type = FLEETLOG_STRING;
                attribute.value.string = to_text(from->value.string_value);
                break;
            case fleetlog_v1_Attribute_bool_value_tag:
                attribute.type = FLEETLOG_BOOL;
                attribute.value.boolean = from->value.bool_value;
                break;
            case fleetlog_v1_Attribute_int_value_tag:
                attribute.type = FLEETLOG_INT;
                attribute.value.integer = from->value.int_value;
                break;
            case fleetlog_v1_Attribute_double_value_tag:
                attribute.type = FLEETLOG_DOUBLE;
                attribute.value.number = from->value.double_value;
                break;
            default:
                break;
        }
        attributes[index] = attribute;
    }
    fleetlog_record record = {
        .time_unix_nano = message.time_unix_nano,
        .uptime_nano = message.uptime_nano,
        .observed_time_unix_nano = message.observed_time_unix_nano,
        .severity = (uint32_t)message.severity,
        .logger = to_text(message.logger),
        .message = to_text(message.message),
        .event_name = to_text(message.event_name),
        .severity_text = to_text(message.severity_text),
        .trace_id = to_text(message.trace_id),
        .span_id = to_text(message.span_id),
        .attributes = attributes,
        .attribute_count = message.attributes_count,
    };
    if (fleetlog_log(client, &record) != FLEETLOG_OK) fail("fleetlog_log");
    free(attributes);
    pb_release(fleetlog_v1_LogRecord_fields, &message);
}

static int base64_digit(char byte) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = byte ? strchr(digits, byte) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Decodes in place, up to the quote; returns what follows it. */
static char *decode_base64(char *text, size_t *size) {
    uint32_t bits = 0;
    unsigned bit_count = 0;
    char *out = text;
    char *in = text;
    for (; *in && *in != '"'; in += 1) {
        int digit = base64_digit(*in);
        if (digit < 0) continue;
        bits = (bits << 6) | (uint32_t)digit;
        bit_count += 6;
        if (bit_count < 8) continue;
        bit_count -= 8;
        *out++ = (char)(bits >> bit_count);
    }
    *size = (size_t)(out - text);
    return *in ? in + 1 : in;
}

/* {"id":7,"records":["…",…]} */
static void read_batch(fleetlog_client *client, char *line) {
    char *id = strstr(line, "\"id\":");
    char *at = strstr(line, "\"records\":[");
    uint64_t sequence = fleetlog_sequence(client);
    size_t size;
    if (!id || !at) fail("a line without id or records");
    if (sequence >= device.ids_max) {
        device.ids_max = sequence * 2 + 64;
        device.ids = grow(device.ids, device.ids_max * sizeof *device.ids);
    }
    device.ids[sequence] = strtoull(id + 5, NULL, 10);
    for (at += 11; *at && *at != ']';) {
        char *record = at + 1;
        if (*at != '"') {
            at += 1;
            continue;
        }
        at = decode_base64(record, &size);
        log_record(client, (const uint8_t *)record, size);
    }
    fleetlog_status status = fleetlog_flush(client);
    if (reports_kept && status == FLEETLOG_OK) {
        printf("{\"event\":\"kept\",\"id\":%" PRIu64 "}\n", device.ids[sequence]);
        fflush(stdout);
    }
    if (fleetlog_sequence(client) != sequence + 1) fail("a line that is not one batch");
}

/* Reads what there is; false: the end. */
static bool read_lines(fleetlog_client *client, bool *is_waiting) {
    static char *buffer;
    static size_t used, capacity;
    for (;;) {
        char *end = buffer ? memchr(buffer, '\n', used) : NULL;
        *is_waiting = end != NULL;
        if (end) {
            if (fleetlog_sequence(client) - 1 - device.settled >= waiting_max) return true;
            *end = '\0';
            read_batch(client, buffer);
            used -= (size_t)(end + 1 - buffer);
            memmove(buffer, end + 1, used);
            continue;
        }
        if (used + 65536 > capacity) buffer = grow(buffer, capacity = used + 65536);
        ssize_t size = read(0, buffer + used, capacity - used);
        if (size == 0) return false;
        if (size < 0 && errno == EAGAIN) return true;
        if (size < 0) fail("stdin");
        used += (size_t)size;
    }
}

int main(int argc, char **argv) {
    static fleetlog_client client;
    static fleetlog_posix_socket socket;
    static fleetlog_posix_file file;
    static fleetlog_config config;
    const char *spool = NULL;
    for (int index = 1; index < argc; index += 2) {
        const char *name = argv[index];
        if (strcmp(name, "--report-kept") == 0) {
            reports_kept = true;
            index -= 1;
            continue;
        }
        char *value = argv[index + 1];
        if (!value) fail(name);
        if (strcmp(name, "--device") == 0) config.device_id = fleetlog_string(value);
        if (strcmp(name, "--session") == 0) config.session_id = fleetlog_string(value);
        if (strcmp(name, "--keep-until") == 0) config.keep_until_committed = strcmp(value, "committed") == 0;
        if (strcmp(name, "--spool") == 0) spool = value;
        if (strcmp(name, "--waiting-max") == 0) waiting_max = (uint64_t)atoi(value);
        if (strcmp(name, "--sectors") == 0) config.sector_count = (uint32_t)atoi(value);
        if (strcmp(name, "--sector-size") == 0) config.sector_size = (uint32_t)atoi(value);
        if (strcmp(name, "--firmware") == 0) config.firmware = fleetlog_string(value);
        if (strcmp(name, "--backoff-base-ms") == 0) config.backoff_base_ms = (uint32_t)atoi(value);
        if (strcmp(name, "--backoff-cap-ms") == 0) config.backoff_cap_ms = (uint32_t)atoi(value);
        if (strcmp(name, "--ack-timeout-ms") == 0) config.ack_timeout_ms = (uint32_t)atoi(value);
        if (strcmp(name, "--commit-timeout-ms") == 0) config.commit_timeout_ms = (uint32_t)atoi(value);
        if (strcmp(name, "--http") == 0) {
            char *host = strstr(value, "://");
            host = host ? host + 3 : value;
            config.host = fleetlog_string(host);
            char *copy = strdup(host);
            char *port = copy ? strrchr(copy, ':') : NULL;
            if (!port) fail("--http http://HOST:PORT");
            *port = '\0';
            socket.host = copy;
            socket.port = port + 1;
        }
    }
    config.random = fleetlog_posix_random;
    config.event = on_event;
    config.socket = fleetlog_posix_connection(&socket);
    config.batch_age_ms = 3600000; /* a line is a batch */
    if (config.commit_timeout_ms == 0) config.commit_timeout_ms = 3000;
    config.commit_poll_ms = 50;
    if (config.sector_size == 0) config.sector_size = SECTOR_SIZE;
    if (config.sector_count == 0) config.sector_count = SECTORS;
    config.batch_size = config.sector_size - 1024;
    config.batch = grow(NULL, config.batch_size);
    config.io_size = 1024;
    config.io = grow(NULL, config.io_size);
    if (spool) {
        char path[4096];
        snprintf(path, sizeof path, "%s/flash", spool);
        if (!fleetlog_posix_open(&file, path, config.sector_size)) fail(path);
        config.flash = fleetlog_posix_flash(&file);
    } else
        config.memory = grow(NULL, (size_t)config.sector_size * config.sector_count);
    device.session = config.session_id;
    if (fleetlog_init(&client, &config) != FLEETLOG_OK) fail("fleetlog_init");
    fcntl(0, F_SETFL, O_NONBLOCK);

    bool is_waiting = false;
    for (bool is_open = true; is_open || is_waiting || fleetlog_pending(&client);) {
        if (is_open || is_waiting) is_open = read_lines(&client, &is_waiting) && is_open;
        uint32_t wait_ms = fleetlog_poll(&client, fleetlog_posix_now_ms());
        if (config.keep_until_committed && wait_ms > config.commit_poll_ms) wait_ms = config.commit_poll_ms;
        if (is_open || fleetlog_pending(&client)) fleetlog_posix_wait(&socket, is_open && !is_waiting ? 0 : -1, wait_ms);
    }
    printf("{\"event\":\"flushed\"}\n");
    return 0;
}
