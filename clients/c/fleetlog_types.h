/* The state of a client, for its size; private. */
#ifndef FLEETLOG_TYPES_H
#define FLEETLOG_TYPES_H

typedef struct {
    uint32_t sector; /* index */
    uint32_t offset; /* of the frame in its sector */
} fleetlog_position;

/* What precedes the payload of a frame in the storage. */
typedef struct {
    uint32_t size; /* of the payload; 0xffffffff: erased, nothing follows */
    uint32_t crc;  /* of the payload */
    uint64_t sequence;
    char session[FLEETLOG_SESSION_MAX];
    uint32_t session_size;
    uint32_t check; /* CRC of the above */
} fleetlog_frame;

/* Batches given up and not yet declared. */
typedef struct {
    uint64_t first;
    uint64_t last;
    char session[FLEETLOG_SESSION_MAX];
    uint32_t session_size;
    uint16_t is_fixed; /* was sent, perhaps: another range of the same start would be another batch */
    uint16_t reason;
} fleetlog_drop;

/* The response as far as it is read. */
typedef struct {
    uint32_t total; /* bytes read, of FLEETLOG_RESPONSE_MAX */
    uint32_t remaining;
    uint32_t retry_after_ms;
    uint32_t body_size;
    uint16_t status;
    uint16_t line_size;
    uint8_t state;
    bool has_length;
    bool is_chunked;
    bool is_kept; /* the connection */
    bool is_cut;  /* the body, to the size of the buffer */
} fleetlog_response;

struct fleetlog_client {
    const fleetlog_config *config;
    uint64_t now_ms;

    /* The open batch. */
    uint64_t sequence;
    uint64_t opened_ms;
    size_t batch_used;
    size_t batch_max; /* for records */
    bool has_records;
    bool has_device;          /* it carries what the device says about itself */
    uint64_t device_sequence; /* the last batch that does; 0: the next one has to */
    char session[FLEETLOG_SESSION_MAX];
    uint32_t session_size;

    /* The storage. */
    uint32_t numbers[FLEETLOG_SECTORS_MAX]; /* the age of each sector, rising; 0: free */
    fleetlog_position end;                  /* where the next frame goes */
    fleetlog_position next;                 /* the frame to send, described by `frame` if `has_frame` */
    fleetlog_frame frame;
    fleetlog_drop drops[FLEETLOG_DROPS_MAX];
    uint32_t drop_count;
    bool has_frame;
    bool is_refused;   /* the frame: declare it instead */
    bool is_attempted; /* the frame is, or was, on its way */
    bool has_unsure;
    fleetlog_position unsure; /* the frame that may have arrived, acknowledged or not: it must not be declared as dropped */
#if FLEETLOG_COMMITTED
    bool has_oldest; /* the oldest frame that is kept; equals `next` or is older */
    fleetlog_position oldest;
    uint64_t oldest_ms; /* since when it is the oldest */
    uint64_t polled_ms; /* when the server last answered what is committed */
    bool is_progress_known;
    uint8_t rewinds; /* since `oldest` changed */
#endif

    /* The request. */
    fleetlog_drop subject; /* what it is about */
    uint64_t deadline_ms; /* of the request, or of the pause */
    uint64_t uptime_ms;
    uint32_t attempts;
    const char *headers;
    uint32_t part_at; /* of the part of the request that is put into the buffer next */
    uint32_t sent;    /* bytes of the buffer */
    uint32_t filled;
    uint8_t state;
    uint8_t job;
    uint8_t part;
    bool is_connected;
    bool is_reused; /* the connection had a response before */
    fleetlog_response response;

    uint64_t server_time_unix_nano;
    uint64_t server_time_ms; /* when it was current */
};

#endif
