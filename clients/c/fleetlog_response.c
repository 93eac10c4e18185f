/*
 * A response of HTTP/1.1, byte by byte, from a server that is not trusted: every length has a limit, and nothing is
 * kept but the status, what matters of the header, and the body as far as there is room for it.
 */
#include "fleetlog_internal.h"

enum {
    STATUS_LINE,
    HEADER_LINE,
    BODY,       /* of a known length */
    BODY_TO_END /* of the connection */,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK,
    CHUNK_END,
    TRAILER, /* its lines */
    COMPLETE
};

/* Longer lines are cut: what is looked for is shorter. Lines are collected where the body will be. */
#define LINE_SIZE_MAX 128u

void fleetlog_response_begin(fleetlog_response *response) {
    memset(response, 0, sizeof *response);
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static uint8_t to_lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* The value of the line, if it is of this header (in lower case, with its colon). */
static const uint8_t *value_of(const char *name, const uint8_t *line, size_t *size) {
    size_t name_size = strlen(name);
    if (*size < name_size) return NULL;
    for (size_t index = 0; index < name_size; index += 1)
        if (to_lower(line[index]) != (uint8_t)name[index]) return NULL;
    const uint8_t *value = line + name_size;
    const uint8_t *end = line + *size;
    while (value < end && (*value == ' ' || *value == '\t')) value += 1;
    while (value < end && (end[-1] == ' ' || end[-1] == '\t')) end -= 1;
    *size = (size_t)(end - value);
    return value;
}

static bool is_word(const char *word, const uint8_t *value, size_t size) {
    return size == strlen(word) && value_of(word, value, &size) != NULL;
}

/* A decimal number below 10^9; false: it is none. */
static bool read_number(const uint8_t *value, size_t size, uint32_t *number) {
    if (size == 0 || size > 9) return false;
    *number = 0;
    for (size_t index = 0; index < size; index += 1) {
        if (!is_digit(value[index])) return false;
        *number = *number * 10 + (uint32_t)(value[index] - '0');
    }
    return true;
}

/* "HTTP/1.1 200 OK" */
static bool read_status(fleetlog_response *response, const uint8_t *line, size_t size) {
    uint32_t status;
    if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ') return false;
    if (!read_number(line + 9, 3, &status) || status < 100 || (size > 12 && line[12] != ' ')) return false;
    response->status = (uint16_t)status;
    response->is_kept = line[7] == '1';
    return true;
}

static bool read_header(fleetlog_response *response, const uint8_t *line, size_t line_size) {
    static const char *const names[] = {"content-length:", "retry-after:", "transfer-encoding:", "connection:"};
    enum { CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING, CONNECTION, NAMES };
    const uint8_t *value = NULL;
    size_t size = 0;
    int name = 0;
    for (; name < NAMES; name += 1) {
        size = line_size;
        value = value_of(names[name], line, &size);
        if (value) break;
    }
    uint32_t number;
    bool is_number = name <= RETRY_AFTER && read_number(value, size, &number);
    switch (name) {
        case CONTENT_LENGTH:
            if (!is_number || (response->has_length && response->remaining != number)) return false;
            response->has_length = true;
            response->remaining = number;
            return true;
        case RETRY_AFTER:
            /* A date instead of seconds is left aside: the device may not know the time. */
            if (is_number) response->retry_after_ms = number < 86400 ? number * 1000 : 86400000;
            return true;
        case TRANSFER_ENCODING:
            response->is_chunked = is_word("chunked", value, size);
            return response->is_chunked;
        case CONNECTION:
            if (is_word("close", value, size)) response->is_kept = false;
            return true;
        default:
            return true;
    }
}

/* The empty line after the header. */
static uint8_t after_header(fleetlog_response *response) {
    if (response->status < 200) { /* such as 100 Continue: another one follows */
        response->has_length = response->is_chunked = false;
        response->retry_after_ms = 0;
        return STATUS_LINE;
    }
    if (response->status == 204 || response->status == 304) return COMPLETE;
    if (response->is_chunked) {
        if (response->has_length) response->is_kept = false; /* ambiguous: the connection is not used again */
        response->remaining = 0;
        return CHUNK_SIZE;
    }
    if (!response->has_length) {
        response->is_kept = false;
        return BODY_TO_END;
    }
    return response->remaining == 0 ? COMPLETE : BODY;
}

static void collect(fleetlog_response *response, uint8_t *body, size_t body_max, uint8_t byte) {
    if (response->body_size < body_max)
        body[response->body_size++] = byte;
    else
        response->is_cut = true;
}

static int hex_digit(uint8_t byte) {
    if (is_digit(byte)) return byte - '0';
    byte = to_lower(byte);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Returns false for what no server may send. */
static bool read_byte(fleetlog_response *response, uint8_t *body, size_t body_max, uint8_t byte) {
    switch (response->state) {
        case STATUS_LINE:
        case HEADER_LINE:
            if (byte != '\n') {
                if (byte != '\r' && response->line_size < LINE_SIZE_MAX && response->line_size < body_max)
                    body[response->line_size++] = byte;
                return true;
            }
            if (response->state == STATUS_LINE) {
                if (!read_status(response, body, response->line_size)) return false;
                response->state = HEADER_LINE;
            } else if (response->line_size == 0)
                response->state = after_header(response);
            else if (!read_header(response, body, response->line_size))
                return false;
            response->line_size = 0;
            return true;
        case BODY:
        case CHUNK:
            collect(response, body, body_max, byte);
            response->remaining -= 1;
            if (response->remaining == 0) response->state = response->state == BODY ? COMPLETE : CHUNK_END;
            return true;
        case BODY_TO_END:
            collect(response, body, body_max, byte);
            return true;
        case CHUNK_SIZE:
            if (hex_digit(byte) >= 0) {
                if (++response->line_size > 6) return false; /* 16 MiB */
                response->remaining = response->remaining * 16 + (uint32_t)hex_digit(byte);
                return true;
            }
            if (response->line_size == 0) return false;
            response->state = CHUNK_EXTENSION;
            /* fall through */
        case CHUNK_EXTENSION:
            if (byte != '\n') return true;
            response->line_size = 0;
            response->state = response->remaining > 0 ? CHUNK : TRAILER;
            return true;
        case CHUNK_END:
            if (byte == '\r') return true;
            response->state = CHUNK_SIZE;
            return byte == '\n';
        case TRAILER:
            if (byte == '\n') {
                if (response->line_size == 0) response->state = COMPLETE;
                response->line_size = 0;
            } else if (byte != '\r')
                response->line_size = 1;
            return true;
        default:
            return false;
    }
}

fleetlog_progress fleetlog_response_read(
    fleetlog_response *response, uint8_t *body, size_t body_max, const uint8_t *data, size_t size) {
    for (size_t index = 0; index < size; index += 1) {
        if (response->state == COMPLETE) { /* bytes that no request asked for */
            response->is_kept = false;
            break;
        }
        response->total += 1;
        if (response->total > FLEETLOG_RESPONSE_MAX) return FLEETLOG_MALFORMED;
        if (!read_byte(response, body, body_max, data[index])) return FLEETLOG_MALFORMED;
    }
    return response->state == COMPLETE ? FLEETLOG_DONE : FLEETLOG_MORE;
}

fleetlog_progress fleetlog_response_end(const fleetlog_response *response) {
    return response->state == BODY_TO_END ? FLEETLOG_DONE : FLEETLOG_MALFORMED;
}
