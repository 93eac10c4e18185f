/* A device without the library: the contract as static structs, by nanopb and the .options files. */
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "fleetlog/v1/ingest.pb.h"

/* Writes a PushLogsRequest; reads a PushLogsResponse, and prints what it says. */
int main(void) {
    static fleetlog_v1_PushLogsRequest request = {
        .has_batch = true,
        .batch = {
            .device_id = "structs-1",
            .session_id = "boot-1",
            .sequence = 1,
            .records_count = 2,
            .records = {
                {.severity = fleetlog_v1_Severity_SEVERITY_WARN, .message = "low", .attributes_count = 1,
                    .attributes = {{.key = "bar", .which_value = fleetlog_v1_Attribute_double_value_tag, .value.double_value = 2.5}}},
                {.message = "lower"},
            },
            .has_device = true,
            .device = {.firmware = "2.1.0"},
        },
    };
    static fleetlog_v1_PushLogsResponse response;
    static uint8_t bytes[8192];
    pb_ostream_t out = pb_ostream_from_buffer(bytes, sizeof bytes);
    if (!pb_encode(&out, fleetlog_v1_PushLogsRequest_fields, &request)) return 1;
    for (size_t index = 0; index < out.bytes_written; index += 1) printf("%02x", bytes[index]);
    size_t size = fread(bytes, 1, sizeof bytes, stdin);
    pb_istream_t in = pb_istream_from_buffer(bytes, size);
    if (!pb_decode(&in, fleetlog_v1_PushLogsResponse_fields, &response)) return 2;
    printf("\n%u %u %s\n", (unsigned)response.ack.accepted, (unsigned)response.ack.rejections_count,
        response.ack.rejections[0].reason);
    printf("%u\n", (unsigned)sizeof request.batch.records[0]);
    return 0;
}
