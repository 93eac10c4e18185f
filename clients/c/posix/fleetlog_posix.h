/* Sockets, a clock, random numbers and a file in place of flash, for POSIX systems; and a pattern for other ones. */
#ifndef FLEETLOG_POSIX_H
#define FLEETLOG_POSIX_H

#include "../fleetlog.h"

typedef struct {
    const char *host;
    const char *port;
    int descriptor; /* 0: no connection */
} fleetlog_posix_socket;

/* TCP without TLS that does not wait, but for the name server. Keeps a pointer to `socket`. */
fleetlog_socket fleetlog_posix_connection(fleetlog_posix_socket *socket);

typedef struct {
    int descriptor;
    uint32_t sector_size;
    bool is_synced; /* write through to the disk: survives a loss of power, not only of the process */
} fleetlog_posix_file;

/* Opens or creates the file; false: errno says why. One process at a time may use it. */
bool fleetlog_posix_open(fleetlog_posix_file *file, const char *path, uint32_t sector_size);
fleetlog_flash fleetlog_posix_flash(fleetlog_posix_file *file);

/* Milliseconds since boot. */
uint64_t fleetlog_posix_now_ms(void);
uint32_t fleetlog_posix_random(void *context);
/* Nanoseconds since 1970. */
uint64_t fleetlog_posix_time(void);
/* Waits until the socket or `other` (-1: none) can be read, or the time is over. */
void fleetlog_posix_wait(const fleetlog_posix_socket *socket, int other, uint32_t wait_ms);

#endif
