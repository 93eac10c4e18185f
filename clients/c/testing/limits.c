/* What fleetlog_init says about configurations that it does not take: a line for each, its status and the event's text. */
#include <stdio.h>

#include "../fleetlog.h"

static uint8_t batch[512], io[1024], memory[4096];

static uint32_t no_chance(void *context) {
    (void)context;
    return 0;
}
static int no_connection(void *context) {
    (void)context;
    return -1;
}
static int send_nothing(void *context, const uint8_t *data, size_t size) {
    (void)context, (void)data, (void)size;
    return -1;
}
static int receive_nothing(void *context, uint8_t *data, size_t size) {
    (void)context, (void)data, (void)size;
    return -1;
}
static void close_nothing(void *context) {
    (void)context;
}
static void on_event(void *context, const fleetlog_event *event) {
    (void)context;
    printf("%d %.*s ", event->type == FLEETLOG_FAILED, (int)event->text.size, (const char *)event->text.data);
}

static fleetlog_config good(void) {
    fleetlog_config config = {
        .device_id = fleetlog_string("a:B_9-."), .host = fleetlog_string("host"),
        .random = no_chance, .event = on_event,
        .socket = {NULL, no_connection, send_nothing, receive_nothing, close_nothing},
        .batch = batch, .batch_size = sizeof batch, .io = io, .io_size = sizeof io,
        .memory = memory, .sector_size = 1024, .sector_count = 4,
    };
    return config;
}

static fleetlog_text repeat(size_t size) {
    static char letters[300];
    memset(letters, 'x', sizeof letters);
    fleetlog_text text = {letters, size};
    return text;
}

static fleetlog_client client;
#define TRY(change) \
    do { \
        fleetlog_config config = good(); \
        change; \
        printf("%d\n", fleetlog_init(&client, &config)); \
    } while (0)

int main(void) {
    TRY((void)0);
    TRY(config.device_id = repeat(128); config.firmware = config.hardware = config.site = repeat(120));
    TRY(config.device_id = repeat(129));
    TRY(config.device_id = repeat(0));
    TRY(config.device_id = fleetlog_string("pump/17"));
    TRY(config.device_id = fleetlog_string("pump \xc3\xa4"));
    TRY(config.session_id = repeat(FLEETLOG_SESSION_MAX + 1));
    TRY(config.host = repeat(256));
    TRY(config.firmware = repeat(257));
    TRY(config.hardware = repeat(257));
    TRY(config.site = repeat(257));
    TRY(config.random = NULL);
    TRY(config.socket.close = NULL);
    TRY(config.batch = NULL);
    TRY(config.io_size = 767);
    TRY(config.memory = NULL);
    TRY(config.sector_count = 2);
    TRY(config.sector_count = 3; config.keep_until_committed = true);
    TRY(config.sector_count = FLEETLOG_SECTORS_MAX + 1);
    TRY(config.batch_size = 500);
    TRY(config.sector_size = 704);
    TRY(config.firmware = config.site = repeat(256)); /* no room for records */
    return 0;
}
