#define _POSIX_C_SOURCE 200809L
#include "fleetlog_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ── The connection ── */

static void close_socket(void *context) {
    fleetlog_posix_socket *socket = context;
    if (socket->descriptor > 0) close(socket->descriptor);
    socket->descriptor = 0;
}

/* 1 or 0 when it begins; -1 when no address can be tried. */
static int begin_connecting(fleetlog_posix_socket *connection) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(connection->host, connection->port, &wanted, &found) != 0) return -1;
    int result = -1;
    for (struct addrinfo *address = found; address && result < 0; address = address->ai_next) {
        int descriptor = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (descriptor < 0) continue;
        connection->descriptor = descriptor;
        int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        fcntl(descriptor, F_SETFL, O_NONBLOCK);
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        if (connect(descriptor, address->ai_addr, address->ai_addrlen) == 0)
            result = 1;
        else if (errno == EINPROGRESS)
            result = 0;
        else
            close_socket(connection);
    }
    freeaddrinfo(found);
    return result;
}

static int connect_socket(void *context) {
    fleetlog_posix_socket *socket = context;
    if (socket->descriptor <= 0) return begin_connecting(socket);
    struct pollfd waited = {.fd = socket->descriptor, .events = POLLOUT};
    if (poll(&waited, 1, 0) <= 0) return 0;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? 1 : -1;
}

static int not_ready(ssize_t result) {
    if (result > 0) return (int)result;
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

static int send_bytes(void *context, const uint8_t *data, size_t size) {
    return not_ready(send(((fleetlog_posix_socket *)context)->descriptor, data, size, MSG_NOSIGNAL));
}

static int receive_bytes(void *context, uint8_t *data, size_t size) {
    return not_ready(recv(((fleetlog_posix_socket *)context)->descriptor, data, size, 0));
}

fleetlog_socket fleetlog_posix_connection(fleetlog_posix_socket *socket) {
    fleetlog_socket functions = {socket, connect_socket, send_bytes, receive_bytes, close_socket};
    return functions;
}

/* ── A file as flash ── */

static bool read_file(void *context, uint32_t position, void *data, size_t size) {
    return pread(((fleetlog_posix_file *)context)->descriptor, data, size, (off_t)position) == (ssize_t)size;
}

static bool write_file(void *context, uint32_t position, const void *data, size_t size) {
    fleetlog_posix_file *file = context;
    return pwrite(file->descriptor, data, size, (off_t)position) == (ssize_t)size &&
           (!file->is_synced || fdatasync(file->descriptor) == 0);
}

static bool erase_file(void *context, uint32_t position) {
    fleetlog_posix_file *file = context;
    uint8_t erased[4096];
    memset(erased, 0xff, sizeof erased);
    for (uint32_t done = 0; done < file->sector_size;) {
        uint32_t left = file->sector_size - done;
        uint32_t size = left < sizeof erased ? left : (uint32_t)sizeof erased;
        if (pwrite(file->descriptor, erased, size, (off_t)(position + done)) != (ssize_t)size) return false;
        done += size;
    }
    return !file->is_synced || fdatasync(file->descriptor) == 0;
}

bool fleetlog_posix_open(fleetlog_posix_file *file, const char *path, uint32_t sector_size) {
    file->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    file->sector_size = sector_size;
    return file->descriptor >= 0;
}

/* What the file does not have yet reads as zeros: no sector. */
static bool read_flash(void *context, uint32_t position, void *data, size_t size) {
    if (read_file(context, position, data, size)) return true;
    memset(data, 0, size);
    return lseek(((fleetlog_posix_file *)context)->descriptor, 0, SEEK_END) <= (off_t)position;
}

fleetlog_flash fleetlog_posix_flash(fleetlog_posix_file *file) {
    fleetlog_flash functions = {file, read_flash, write_file, erase_file};
    return functions;
}

/* ── Time and chance ── */

static uint64_t read_clock(clockid_t clock, uint64_t per_second, uint64_t nanoseconds_per_unit) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * per_second + (uint64_t)time.tv_nsec / nanoseconds_per_unit;
}

uint64_t fleetlog_posix_now_ms(void) {
    return read_clock(CLOCK_MONOTONIC, 1000, 1000000);
}

uint64_t fleetlog_posix_time(void) {
    return read_clock(CLOCK_REALTIME, 1000000000, 1);
}

uint32_t fleetlog_posix_random(void *context) {
    uint32_t bits;
    (void)context;
    int descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || read(descriptor, &bits, sizeof bits) != (ssize_t)sizeof bits) abort();
    close(descriptor);
    return bits;
}

void fleetlog_posix_wait(const fleetlog_posix_socket *socket, int other, uint32_t wait_ms) {
    struct pollfd waited[2] = {{.fd = other, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (socket->descriptor > 0) waited[1].fd = socket->descriptor;
    poll(waited, 2, wait_ms > 60000 ? 60000 : (int)wait_ms);
}
