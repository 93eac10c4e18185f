/* A device that logs a record per second; kept in a file while the server is away. example HOST PORT */
#include <stdio.h>
#include "posix/fleetlog_posix.h"

static void on_event(void *context, const fleetlog_event *event) {
    (void)context;
    if (event->type == FLEETLOG_ACKNOWLEDGED) printf("stored %u records\n", (unsigned)event->accepted);
    else printf("%.*s\n", (int)event->text.size, (const char *)event->text.data);
}

int main(int argc, char **argv) {
    static uint8_t batch[1024], io[1024];
    static fleetlog_client client;
    fleetlog_posix_socket socket = {argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? argv[2] : "8080", 0};
    fleetlog_posix_file file = {0};
    if (!fleetlog_posix_open(&file, "pump-17.flash", 4096)) return 1;
    fleetlog_config config = {
        .device_id = fleetlog_string("pump-17"), .host = fleetlog_string(socket.host),
        .firmware = fleetlog_string("2.1.0"), .random = fleetlog_posix_random, .event = on_event,
        .socket = fleetlog_posix_connection(&socket), .flash = fleetlog_posix_flash(&file),
        .batch = batch, .batch_size = sizeof batch, .io = io, .io_size = sizeof io,
        .sector_size = file.sector_size, .sector_count = 16,
    };
    if (fleetlog_init(&client, &config) != FLEETLOG_OK) return 1;
    for (uint64_t next_ms = 0;;) {
        uint64_t now_ms = fleetlog_posix_now_ms();
        if (now_ms >= next_ms) {
            fleetlog_attribute bar = {.key = fleetlog_string("bar"), .type = FLEETLOG_DOUBLE, .value.number = 2.5};
            fleetlog_record record = {.severity = 13, .message = fleetlog_string("pressure is low"), .attributes = &bar,
                .attribute_count = 1, .time_unix_nano = fleetlog_posix_time(), .uptime_nano = now_ms * 1000000};
            fleetlog_log(&client, &record);
            next_ms = now_ms + 1000;
        }
        fleetlog_posix_wait(&socket, -1, fleetlog_poll(&client, now_ms));
    }
}
