/* Records as protobuf, straight from the caller's memory. */
#include "fleetlog_internal.h"

typedef bool encoder(pb_ostream_t *stream, const void *value);

static bool encode_message(pb_ostream_t *stream, uint32_t tag, encoder *encode, const void *value) {
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    return encode(&sizing, value) && pb_encode_tag(stream, PB_WT_STRING, tag) &&
           pb_encode_varint(stream, sizing.bytes_written) && encode(stream, value);
}

bool fleetlog_encode_text(pb_ostream_t *stream, uint32_t tag, fleetlog_text text) {
    if (text.size == 0) return true;
    return pb_encode_tag(stream, PB_WT_STRING, tag) && pb_encode_string(stream, text.data, text.size);
}

bool fleetlog_encode_number(pb_ostream_t *stream, uint32_t tag, uint64_t number) {
    if (number == 0) return true;
    return pb_encode_tag(stream, PB_WT_VARINT, tag) && pb_encode_varint(stream, number);
}

bool fleetlog_encode_fixed64(pb_ostream_t *stream, uint32_t tag, uint64_t number) {
    if (number == 0) return true;
    return pb_encode_tag(stream, PB_WT_64BIT, tag) && pb_encode_fixed64(stream, &number);
}

static bool encode_attribute(pb_ostream_t *stream, const void *value) {
    const fleetlog_attribute *attribute = value;
    if (!fleetlog_encode_text(stream, fleetlog_v1_Attribute_key_tag, attribute->key)) return false;
    /* A value of a oneof is encoded also when it is empty or zero. */
    switch (attribute->type) {
        case FLEETLOG_STRING:
            return pb_encode_tag(stream, PB_WT_STRING, fleetlog_v1_Attribute_string_value_tag) &&
                   pb_encode_string(stream, attribute->value.string.data, attribute->value.string.size);
        case FLEETLOG_BOOL:
            return pb_encode_tag(stream, PB_WT_VARINT, fleetlog_v1_Attribute_bool_value_tag) &&
                   pb_encode_varint(stream, attribute->value.boolean);
        case FLEETLOG_INT:
            return pb_encode_tag(stream, PB_WT_VARINT, fleetlog_v1_Attribute_int_value_tag) &&
                   pb_encode_svarint(stream, attribute->value.integer);
        case FLEETLOG_DOUBLE:
            return pb_encode_tag(stream, PB_WT_64BIT, fleetlog_v1_Attribute_double_value_tag) &&
                   pb_encode_fixed64(stream, &attribute->value.number);
        case FLEETLOG_NULL:
        default:
            return true;
    }
}

static bool encode_attributes(pb_ostream_t *stream, uint32_t tag, const fleetlog_attribute *attributes, size_t count) {
    for (size_t index = 0; index < count; index += 1)
        if (!encode_message(stream, tag, encode_attribute, &attributes[index])) return false;
    return true;
}

static bool encode_record(pb_ostream_t *stream, const void *value) {
    const fleetlog_record *record = value;
    return fleetlog_encode_fixed64(stream, fleetlog_v1_LogRecord_time_unix_nano_tag, record->time_unix_nano) &&
           fleetlog_encode_number(stream, fleetlog_v1_LogRecord_severity_tag, record->severity) &&
           fleetlog_encode_text(stream, fleetlog_v1_LogRecord_logger_tag, record->logger) &&
           fleetlog_encode_text(stream, fleetlog_v1_LogRecord_message_tag, record->message) &&
           encode_attributes(
               stream, fleetlog_v1_LogRecord_attributes_tag, record->attributes, record->attribute_count) &&
           fleetlog_encode_text(stream, fleetlog_v1_LogRecord_trace_id_tag, record->trace_id) &&
           fleetlog_encode_text(stream, fleetlog_v1_LogRecord_span_id_tag, record->span_id) &&
           fleetlog_encode_text(stream, fleetlog_v1_LogRecord_event_name_tag, record->event_name) &&
           fleetlog_encode_fixed64(stream, fleetlog_v1_LogRecord_uptime_nano_tag, record->uptime_nano) &&
           fleetlog_encode_text(stream, fleetlog_v1_LogRecord_severity_text_tag, record->severity_text) &&
           fleetlog_encode_fixed64(
               stream, fleetlog_v1_LogRecord_observed_time_unix_nano_tag, record->observed_time_unix_nano);
}

bool fleetlog_encode_record(pb_ostream_t *stream, const fleetlog_record *record) {
    return encode_message(stream, fleetlog_v1_LogBatch_records_tag, encode_record, record);
}

static bool encode_device(pb_ostream_t *stream, const void *value) {
    const fleetlog_config *config = value;
    return fleetlog_encode_text(stream, fleetlog_v1_DeviceInfo_firmware_tag, config->firmware) &&
           fleetlog_encode_text(stream, fleetlog_v1_DeviceInfo_hardware_tag, config->hardware) &&
           fleetlog_encode_text(stream, fleetlog_v1_DeviceInfo_site_tag, config->site);
}

bool fleetlog_encode_shared(pb_ostream_t *stream, const fleetlog_config *config, bool with_device) {
    bool has_device = config->firmware.size + config->hardware.size + config->site.size > 0;
    return encode_attributes(
               stream, fleetlog_v1_LogBatch_attributes_tag, config->attributes, config->attribute_count) &&
           (!with_device || !has_device ||
            encode_message(stream, fleetlog_v1_LogBatch_device_tag, encode_device, config));
}

typedef struct {
    uint64_t last;
    uint32_t reason;
} dropped;

static bool encode_dropped(pb_ostream_t *stream, const void *value) {
    static const char *const reasons[] = {"storage full", "storage failed", "refused"};
    const dropped *given_up = value;
    return fleetlog_encode_number(stream, fleetlog_v1_Dropped_last_sequence_tag, given_up->last) &&
           fleetlog_encode_text(
               stream, fleetlog_v1_Dropped_reason_tag, fleetlog_string(reasons[given_up->reason]));
}

bool fleetlog_encode_dropped(pb_ostream_t *stream, uint64_t last, uint32_t reason) {
    dropped given_up = {last, reason};
    return encode_message(stream, fleetlog_v1_LogBatch_dropped_tag, encode_dropped, &given_up);
}
