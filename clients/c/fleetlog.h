/*
 * Fleetlog for microcontrollers: numbers batches of log records, keeps them in RAM or flash, and sends them by
 * HTTP/1.1 until the server has each of them on disk. C99; no allocation, no threads, no stdio. README.md explains.
 */
#ifndef FLEETLOG_H
#define FLEETLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Keep batches until they are in PostgreSQL (fleetlog_config.keep_until_committed); 0 leaves the code out. */
#ifndef FLEETLOG_COMMITTED
#define FLEETLOG_COMMITTED 1
#endif

/* What flash writes at once, in bytes: a power of two, 8 to 64. */
#ifndef FLEETLOG_WRITE_UNIT
#define FLEETLOG_WRITE_UNIT 8
#endif

/* The most sectors of the storage; each costs 4 bytes of RAM. */
#ifndef FLEETLOG_SECTORS_MAX
#define FLEETLOG_SECTORS_MAX 32
#endif

/* The longest session identifier, in bytes; drawn ones have 16. A multiple of 8, at most 64. */
#ifndef FLEETLOG_SESSION_MAX
#define FLEETLOG_SESSION_MAX 16
#endif

/*
 * Ranges of dropped batches that wait to be declared, one for each session, or more; each costs 40 bytes of RAM and of
 * each sector. */
#ifndef FLEETLOG_DROPS_MAX
#define FLEETLOG_DROPS_MAX 4
#endif

/* The longest response that is read, headers and all, in bytes. A longer one is a broken connection. */
#ifndef FLEETLOG_RESPONSE_MAX
#define FLEETLOG_RESPONSE_MAX 65536u
#endif

/* Text or bytes by pointer; no NUL at the end needed. */
typedef struct {
    const void *data;
    size_t size;
} fleetlog_text;

static inline fleetlog_text fleetlog_string(const char *string) {
    fleetlog_text text = {string, string ? strlen(string) : 0};
    return text;
}

typedef enum {
    FLEETLOG_NULL,
    FLEETLOG_STRING,
    FLEETLOG_BOOL,
    FLEETLOG_INT,
    FLEETLOG_DOUBLE
} fleetlog_type;

typedef struct {
    fleetlog_text key;
    fleetlog_type type;
    union {
        fleetlog_text string;
        bool boolean;
        int64_t integer;
        double number;
    } value;
} fleetlog_attribute;

/* One log record; zero means unknown. proto/fleetlog/v1/log.proto defines the fields. */
typedef struct {
    uint64_t time_unix_nano;
    /* Nanoseconds since boot, for a device that does not know the time (yet). */
    uint64_t uptime_nano;
    uint64_t observed_time_unix_nano;
    /* 1 to 24, such as 9 INFO, 13 WARN, 17 ERROR, 21 FATAL. */
    uint32_t severity;
    fleetlog_text logger;
    fleetlog_text message;
    fleetlog_text event_name;
    fleetlog_text severity_text;
    /* 16 and 8 bytes, or none. */
    fleetlog_text trace_id;
    fleetlog_text span_id;
    const fleetlog_attribute *attributes;
    size_t attribute_count;
} fleetlog_record;

typedef enum {
    /* The server has the batch `first` on disk: `accepted` records, and `rejected` ones in its dead letters. */
    FLEETLOG_ACKNOWLEDGED,
    /* One record of a batch is rejected: `index`, and the reason in `text`. Comes before FLEETLOG_ACKNOWLEDGED. */
    FLEETLOG_REJECTED,
    /* The server refuses the batch `first` (INVALID_ARGUMENT): the reason in `text`. It is declared as dropped. */
    FLEETLOG_REFUSED,
    /* The batches `first` to `last` are given up, because the storage is full or fails. The server gets a declaration. */
    FLEETLOG_DROPPED,
    /* The batch `first` is in PostgreSQL (keep_until_committed). */
    FLEETLOG_COMMITTED_BATCH,
    /* The batch `first` is acknowledged and not kept any longer, because the storage is full (keep_until_committed). */
    FLEETLOG_RELEASED,
    /* The server asks to send later: the gRPC `code`, 8 or 14, and `delay_ms`. */
    FLEETLOG_LATER,
    /* The connection ended, and another one follows at once or after the backoff. */
    FLEETLOG_RECONNECT,
    /*
     * An error that the application may have to mend: `text` has it. What a server answered is retried after the backoff,
     * and `code` has its gRPC code, or the status of HTTP if there is none, such as 404; else `code` is 0.
     */
    FLEETLOG_FAILED
} fleetlog_event_type;

/*
 * Pointers are valid during the call. What became of a batch is reported before it is forgotten: a reset between the two
 * has it reported again after the next boot.
 */
typedef struct {
    fleetlog_event_type type;
    fleetlog_text session;
    uint64_t first;
    uint64_t last;
    uint32_t accepted;
    uint32_t rejected;
    uint32_t index;
    uint32_t code;
    uint32_t delay_ms;
    fleetlog_text text;
    /* The server's clock as it sent the acknowledgement, in nanoseconds since 1970; 0 if unknown. */
    uint64_t server_time_unix_nano;
} fleetlog_event;

/*
 * A connection to the server, with or without TLS. None of the functions may wait for long; what is not ready returns 0
 * and is called again.
 */
typedef struct {
    void *context;
    /* 1: connected; 0: not yet; -1: failed. Called until it is not 0, or `close` gives up. */
    int (*connect)(void *context);
    /* The number of bytes taken, at most `size`; 0: none now; -1: broken. */
    int (*send)(void *context, const uint8_t *data, size_t size);
    /* The number of bytes received, at most `size`; 0: none now; -1: ended or broken. */
    int (*receive)(void *context, uint8_t *data, size_t size);
    void (*close)(void *context);
} fleetlog_socket;

/*
 * Flash by position, from 0 to sector_size * sector_count. `write` gets multiples of FLEETLOG_WRITE_UNIT, at such
 * positions, and only bytes that are erased. `erase` sets the sector that begins at `position` to 0xff.
 */
typedef struct {
    void *context;
    bool (*read)(void *context, uint32_t position, void *data, size_t size);
    bool (*write)(void *context, uint32_t position, const void *data, size_t size);
    bool (*erase)(void *context, uint32_t position);
} fleetlog_flash;

typedef struct {
    /* 1 to 128 characters of A-Z a-z 0-9 . _ : - */
    fleetlog_text device_id;
    /* Empty: drawn by `random`, as it should be. At most FLEETLOG_SESSION_MAX of these characters, others at every boot. */
    fleetlog_text session_id;
    /* The value of the header Host, such as "logs.example.com:8080"; at most 255 bytes. */
    fleetlog_text host;
    /*
     * What the device says about itself, each at most 256 bytes of UTF-8; empty if unknown. It goes with the first batch of
     * the session, and with another one when that is refused, dropped or damaged. */
    fleetlog_text firmware;
    fleetlog_text hardware;
    fleetlog_text site;
    /* Attributes of every batch, such as the boot reason. */
    const fleetlog_attribute *attributes;
    size_t attribute_count;

    /* The first argument of the three functions. */
    void *context;
    /* 32 random bits. A session drawn twice is two boots in one: use a generator with a seed of its own per boot. */
    uint32_t (*random)(void *context);
    /* Optional. Must not call the client. */
    void (*event)(void *context, const fleetlog_event *event);
    /* Optional: more lines of the request's header, each with its \r\n, such as "Authorization: Bearer …\r\n". */
    const char *(*headers)(void *context);
    fleetlog_socket socket;

    /* Holds the batch that is open. Its size is the largest batch; a multiple of FLEETLOG_WRITE_UNIT. */
    uint8_t *batch;
    size_t batch_size;
    /* Holds a piece of the request, then the response: at least 768 bytes; 1,024 hold any acknowledgement. */
    uint8_t *io;
    size_t io_size;
    /*
     * The storage, in RAM if `memory` is set, else in `flash`: at least 3 sectors (4 with
     * keep_until_committed), each larger than a batch by 256 bytes (and 40 for each of FLEETLOG_DROPS_MAX beyond 4). */
    uint8_t *memory;
    fleetlog_flash flash;
    uint32_t sector_size;
    uint32_t sector_count;

    /* 0 stands for the default. The open batch is closed at this age: 1,000 ms. */
    uint32_t batch_age_ms;
    /* A response that takes longer is a broken connection: 30,000 ms. */
    uint32_t ack_timeout_ms;
    /* After a failure: a random pause up to the base, doubling up to the cap: 100 ms, 5,000 ms. */
    uint32_t backoff_base_ms;
    uint32_t backoff_cap_ms;
#if FLEETLOG_COMMITTED
    /* Keep batches until they are in PostgreSQL, which survives even the loss of Redis. */
    bool keep_until_committed;
    /* How often to ask for them: 2,000 ms; after how long to send them again: 60,000 ms. */
    uint32_t commit_poll_ms;
    uint32_t commit_timeout_ms;
#endif
} fleetlog_config;

typedef enum {
    FLEETLOG_OK = 0,
    /* fleetlog_init: a field of the configuration is missing or outside its limits; FLEETLOG_FAILED says which. */
    FLEETLOG_INVALID = -1,
    /* fleetlog_log: the record is larger than a batch. fleetlog_init: a batch has no room for records. */
    FLEETLOG_TOO_LARGE = -2,
    /* The storage failed: the open batch is lost, and will be declared. */
    FLEETLOG_STORAGE = -3
} fleetlog_status;

#include "fleetlog_types.h"

typedef struct fleetlog_client fleetlog_client;

/* Keeps a pointer to `config`. Reads the flash once: what an earlier run kept there will be sent first. */
fleetlog_status fleetlog_init(fleetlog_client *client, const fleetlog_config *config);

/* Encodes a record into the open batch. Sends nothing, but may write the full batch to the storage. */
fleetlog_status fleetlog_log(fleetlog_client *client, const fleetlog_record *record);

/* Closes the open batch, so that it is sent, and in flash survives a reboot. */
fleetlog_status fleetlog_flush(fleetlog_client *client);

/*
 * Does what can be done without waiting. `now_ms` is the time since boot in milliseconds, also sent as the uptime.
 * Returns how many milliseconds the caller may sleep if nothing arrives on the socket and nothing is logged.
 */
uint32_t fleetlog_poll(fleetlog_client *client, uint64_t now_ms);

/* Whether anything is open, kept or waits to be declared. */
bool fleetlog_pending(const fleetlog_client *client);

/* The time by the server's clock, in nanoseconds since 1970, from its last acknowledgement; 0 before the first. */
uint64_t fleetlog_time(const fleetlog_client *client, uint64_t now_ms);

/* The session in use, and the sequence of the open or next batch. */
fleetlog_text fleetlog_session(const fleetlog_client *client);
uint64_t fleetlog_sequence(const fleetlog_client *client);

#ifdef __cplusplus
}
#endif

#endif
