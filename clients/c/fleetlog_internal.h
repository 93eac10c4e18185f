/* What the files of the library share; private. */
#ifndef FLEETLOG_INTERNAL_H
#define FLEETLOG_INTERNAL_H

#include <pb_decode.h>
#include <pb_encode.h>

#include "fleetlog.h"
#include "fleetlog/v1/ingest.pb.h"
#include "fleetlog/v1/log.pb.h"

enum { FLEETLOG_REASON_FULL, FLEETLOG_REASON_STORAGE, FLEETLOG_REASON_REFUSED };

/* google.rpc.Code */
enum {
    FLEETLOG_CODE_INVALID_ARGUMENT = 3,
    FLEETLOG_CODE_RESOURCE_EXHAUSTED = 8,
    FLEETLOG_CODE_UNAVAILABLE = 14
};

static inline void fleetlog_emit(const fleetlog_client *client, const fleetlog_event *event) {
    if (client->config->event) client->config->event(client->config->context, event);
}

/* fleetlog_encode.c */

/* The fields of a batch that come after its records: what is said once per batch or session. */
bool fleetlog_encode_shared(pb_ostream_t *stream, const fleetlog_config *config, bool with_device);
bool fleetlog_encode_record(pb_ostream_t *stream, const fleetlog_record *record);
bool fleetlog_encode_text(pb_ostream_t *stream, uint32_t tag, fleetlog_text text);
bool fleetlog_encode_number(pb_ostream_t *stream, uint32_t tag, uint64_t number);
bool fleetlog_encode_fixed64(pb_ostream_t *stream, uint32_t tag, uint64_t number);
bool fleetlog_encode_dropped(pb_ostream_t *stream, uint64_t last, uint32_t reason);

/* fleetlog_store.c */

/* Whether a session is the one in use. */
bool fleetlog_is_current(const fleetlog_client *client, const char *session, uint32_t session_size);
/* A batch will not be stored: what it says about the device has to be said by another one. */
void fleetlog_not_stored(fleetlog_client *client, const char *session, uint32_t session_size, uint64_t sequence);
/* NULL, or what is wrong with the configuration of the storage. */
const char *fleetlog_store_open(fleetlog_client *client);
/* Keeps a batch; false: it is dropped, and will be declared. The buffer has room up to the next write unit. */
bool fleetlog_store_append(fleetlog_client *client, uint64_t sequence, uint8_t *payload, size_t size);
bool fleetlog_store_payload(const fleetlog_client *client, uint32_t at, uint8_t *data, size_t size);
/* The frame `next` will be sent: it stays until that is settled. */
void fleetlog_store_attempted(fleetlog_client *client);
bool fleetlog_store_is_acknowledged(const fleetlog_client *client);
/* The frame `next` is acknowledged, or refused for good; continues with the one after it. */
void fleetlog_store_acknowledged(fleetlog_client *client, bool is_final);
/* The frame `next` will be declared as dropped; false: that is not possible. */
bool fleetlog_store_refused(fleetlog_client *client);
/* The first of the drops will be declared: it does not grow any more, not even after a reboot. */
void fleetlog_store_declaring(fleetlog_client *client);
void fleetlog_store_declared(fleetlog_client *client);
#if FLEETLOG_COMMITTED
bool fleetlog_store_oldest(const fleetlog_client *client, fleetlog_frame *frame);
/* Forgets the kept frames that the response about the session of the request has. */
void fleetlog_store_committed(fleetlog_client *client, const uint8_t *body, size_t size);
void fleetlog_store_rewind(fleetlog_client *client);
#endif

/* fleetlog_response.c */

typedef enum { FLEETLOG_MORE, FLEETLOG_DONE, FLEETLOG_MALFORMED } fleetlog_progress;

void fleetlog_response_begin(fleetlog_response *response);
/* Reads `size` bytes; the body is collected in `body`, and cut where that ends. */
fleetlog_progress fleetlog_response_read(
    fleetlog_response *response, uint8_t *body, size_t body_max, const uint8_t *data, size_t size);
/* The connection ended. */
fleetlog_progress fleetlog_response_end(const fleetlog_response *response);

/* fleetlog_reply.c */

typedef struct {
    uint64_t sequence;
    uint64_t server_time_unix_nano;
    uint32_t accepted;
    uint32_t rejected;
    bool has_error;
} fleetlog_ack;

/* Reads a PushLogsResponse; with `event`, emits its rejections by it. A body that is cut is read as far as it goes. */
bool fleetlog_read_ack(
    const uint8_t *body, size_t size, bool is_cut, fleetlog_ack *ack, const fleetlog_client *client, fleetlog_event *event);

typedef struct {
    uint32_t code;     /* of google.rpc.Code; else the status of HTTP */
    uint32_t delay_ms; /* 0: the server asks for none */
    fleetlog_text message;
} fleetlog_error;

/* Reads a Connect error. */
void fleetlog_read_error(const fleetlog_response *response, const uint8_t *body, fleetlog_error *error);

#if FLEETLOG_COMMITTED
/* Whether a GetSessionResponse has the sequence in the ranges of this field. */
bool fleetlog_has_sequence(const uint8_t *body, size_t size, uint32_t field, uint64_t sequence);
#endif

#endif
