/* What the body of a response says: an acknowledgement, an error, the progress of a session. */
#include "fleetlog_internal.h"

/* A field of a message in memory. */
typedef struct {
    uint32_t tag;
    uint64_t number; /* of a varint or fixed64 */
    fleetlog_text bytes;
    bool is_cut; /* the message ends before the bytes do */
} field;

/* Reads the next field; false: at the end, or where no field can be read. */
static bool read_field(pb_istream_t *stream, const uint8_t *end, field *found) {
    pb_wire_type_t type;
    bool is_end;
    uint32_t size;
    memset(found, 0, sizeof *found);
    if (!pb_decode_tag(stream, &type, &found->tag, &is_end)) return false;
    switch (type) {
        case PB_WT_VARINT:
            return pb_decode_varint(stream, &found->number);
        case PB_WT_64BIT:
            return pb_decode_fixed64(stream, &found->number);
        case PB_WT_STRING:
            if (!pb_decode_varint32(stream, &size)) return false;
            found->is_cut = size > stream->bytes_left;
            if (found->is_cut) size = (uint32_t)stream->bytes_left;
            found->bytes.data = end - stream->bytes_left;
            found->bytes.size = size;
            return pb_read(stream, NULL, size);
        default:
            return pb_skip_field(stream, type);
    }
}

static pb_istream_t open_message(fleetlog_text message, const uint8_t **end) {
    *end = (const uint8_t *)message.data + message.size;
    return pb_istream_from_buffer(message.data, message.size);
}

/* The message in `tag` of the message; of a message that is cut, as far as it goes. */
static bool find_message(const uint8_t *body, size_t size, uint32_t tag, bool is_cut, fleetlog_text *found) {
    fleetlog_text message = {body, size};
    const uint8_t *end;
    pb_istream_t stream = open_message(message, &end);
    field next;
    while (read_field(&stream, end, &next)) {
        if (next.tag != tag || !next.bytes.data) continue;
        *found = next.bytes;
        return is_cut || !next.is_cut;
    }
    return false;
}

static void emit_rejection(fleetlog_text message, const fleetlog_client *client, fleetlog_event *event) {
    const uint8_t *end;
    pb_istream_t stream = open_message(message, &end);
    field found;
    event->type = FLEETLOG_REJECTED;
    event->index = 0;
    event->text = fleetlog_string(NULL);
    while (read_field(&stream, end, &found)) {
        if (found.tag == fleetlog_v1_Rejection_index_tag) event->index = (uint32_t)found.number;
        if (found.tag == fleetlog_v1_Rejection_reason_tag) event->text = found.bytes;
    }
    fleetlog_emit(client, event);
}

bool fleetlog_read_ack(
    const uint8_t *body, size_t size, bool is_cut, fleetlog_ack *ack, const fleetlog_client *client, fleetlog_event *event) {
    fleetlog_text message;
    const uint8_t *end;
    field found;
    uint32_t rejections = 0;
    bool is_whole = true;
    memset(ack, 0, sizeof *ack);
    if (!find_message(body, size, fleetlog_v1_PushLogsResponse_ack_tag, is_cut, &message)) return false;
    pb_istream_t stream = open_message(message, &end);
    while (read_field(&stream, end, &found)) {
        is_whole = !found.is_cut;
        switch (found.tag) {
            case fleetlog_v1_Ack_sequence_tag:
                ack->sequence = found.number;
                break;
            case fleetlog_v1_Ack_accepted_tag:
                ack->accepted = (uint32_t)found.number;
                break;
            case fleetlog_v1_Ack_rejections_tag:
                rejections += 1;
                if (event) emit_rejection(found.bytes, client, event);
                break;
            case fleetlog_v1_Ack_error_tag:
                ack->has_error = true;
                break;
            case fleetlog_v1_Ack_rejected_tag:
                ack->rejected = (uint32_t)found.number;
                break;
            case fleetlog_v1_Ack_server_time_unix_nano_tag:
                ack->server_time_unix_nano = found.number;
                break;
            default:
                break;
        }
    }
    if (ack->rejected < rejections) ack->rejected = rejections;
    return is_cut || (is_whole && stream.bytes_left == 0);
}

/* What follows `what` in the text, to its end; NULL: it does not occur. */
static fleetlog_text after(fleetlog_text text, const char *what) {
    const char *data = text.data;
    size_t size = strlen(what);
    fleetlog_text rest = {NULL, 0};
    for (size_t index = 0; index + size <= text.size; index += 1) {
        if (memcmp(data + index, what, size) != 0) continue;
        rest.data = data + index + size;
        rest.size = text.size - index - size;
        break;
    }
    return rest;
}

/*
 * The string value of a key of Connect's JSON, as it is written, with its escapes. Within a string the quotes of a key
 * would be escaped, so none can be taken for a key.
 */
static fleetlog_text string_of(fleetlog_text json, const char *key) {
    fleetlog_text rest = after(json, key);
    const char *data = rest.data;
    fleetlog_text string = {NULL, 0};
    size_t index = 0;
    while (index < rest.size && (data[index] == ':' || data[index] == ' ')) index += 1;
    if (index >= rest.size || data[index] != '"') return string;
    string.data = data + index + 1;
    for (index += 1; index < rest.size && data[index] != '"'; index += 1) {
        if (data[index] == '\\' && index + 1 < rest.size) index += 1;
    }
    string.size = (size_t)(data + (index < rest.size ? index : rest.size) - (const char *)string.data);
    return string;
}

static int base64_digit(char byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '+' || byte == '-') return 62;
    return byte == '/' || byte == '_' ? 63 : -1;
}

static size_t decode_base64(fleetlog_text text, uint8_t *bytes, size_t bytes_max) {
    const char *data = text.data;
    size_t size = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t index = 0; index < text.size; index += 1) {
        int digit = base64_digit(data[index]);
        if (digit < 0) break;
        bits = (bits << 6) | (uint32_t)digit;
        bit_count += 6;
        if (bit_count < 8) continue;
        bit_count -= 8;
        if (size == bytes_max) return 0;
        bytes[size++] = (uint8_t)(bits >> bit_count);
    }
    return size;
}

/* google.rpc.RetryInfo { Duration retry_delay = 1 { int64 seconds = 1; int32 nanos = 2 } }, in milliseconds. */
static uint32_t read_retry_info(fleetlog_text json) {
    uint8_t bytes[32];
    const uint8_t *end;
    field found;
    uint64_t delay_ms = 0;
    size_t size = decode_base64(string_of(after(json, "google.rpc.RetryInfo"), "\"value\""), bytes, sizeof bytes);
    fleetlog_text delay;
    if (size == 0 || !find_message(bytes, size, 1, false, &delay)) return 0;
    pb_istream_t stream = open_message(delay, &end);
    while (read_field(&stream, end, &found)) {
        if (found.tag == 1) delay_ms += found.number > 86400 ? 86400000 : found.number * 1000;
        if (found.tag == 2 && found.number < 1000000000) delay_ms += (found.number + 999999) / 1000000;
    }
    return delay_ms > 86400000 ? 86400000 : (uint32_t)delay_ms;
}

void fleetlog_read_error(const fleetlog_response *response, const uint8_t *body, fleetlog_error *error) {
    static const struct {
        char name[19];
        uint8_t code;
    } codes[] = {
        {"invalid_argument", FLEETLOG_CODE_INVALID_ARGUMENT},
        {"permission_denied", 7},
        {"resource_exhausted", FLEETLOG_CODE_RESOURCE_EXHAUSTED},
        {"unimplemented", 12},
        {"unavailable", FLEETLOG_CODE_UNAVAILABLE},
        {"unauthenticated", 16},
    };
    fleetlog_text json = {body, response->body_size};
    fleetlog_text code = string_of(json, "\"code\"");
    /* A proxy's own error has no code: it is never taken for one that gives up a batch. */
    error->code = response->status == 429                              ? FLEETLOG_CODE_RESOURCE_EXHAUSTED
                  : response->status >= 502 && response->status <= 504 ? FLEETLOG_CODE_UNAVAILABLE
                                                                       : response->status;
    for (size_t index = 0; index < sizeof codes / sizeof *codes; index += 1)
        if (code.size == strlen(codes[index].name) && memcmp(code.data, codes[index].name, code.size) == 0)
            error->code = codes[index].code;
    error->message = string_of(json, "\"message\"");
    if (error->message.size == 0) error->message = json;
    error->delay_ms = read_retry_info(json);
    if (error->delay_ms == 0) error->delay_ms = response->retry_after_ms;
}

#if FLEETLOG_COMMITTED

bool fleetlog_has_sequence(const uint8_t *body, size_t size, uint32_t tag, uint64_t sequence) {
    fleetlog_text message = {body, size};
    const uint8_t *end;
    field found;
    pb_istream_t stream = open_message(message, &end);
    while (read_field(&stream, end, &found)) {
        if (found.tag != tag || !found.bytes.data) continue;
        const uint8_t *range_end;
        pb_istream_t range = open_message(found.bytes, &range_end);
        field bound;
        uint64_t first = 0;
        uint64_t last = 0;
        while (read_field(&range, range_end, &bound)) {
            if (bound.tag == fleetlog_v1_SequenceRange_first_tag) first = bound.number;
            if (bound.tag == fleetlog_v1_SequenceRange_last_tag) last = bound.number;
        }
        if (first <= sequence && sequence <= last) return true;
    }
    return false;
}

#endif
