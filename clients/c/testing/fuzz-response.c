/*
 * Responses of a hostile server: every prefix of good ones, random bytes and changes, endless headers and chunks. Prints
 * what a good response came to, for the test to compare. fuzz-response SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "../fleetlog_internal.h"

static uint64_t seed;
static uint32_t below(uint32_t bound) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16) % bound;
}

static void check(bool is_right, const char *what) {
    if (is_right) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void on_event(void *context, const fleetlog_event *event) {
    uint32_t *sum = context;
    for (size_t index = 0; index < event->text.size; index += 1) *sum += ((const uint8_t *)event->text.data)[index];
}

/* Reads `size` bytes in pieces into a buffer that ends where the memory does; then all that may be done with it. */
static fleetlog_progress read_all(
    const uint8_t *data, size_t size, size_t body_max, uint32_t piece_max, fleetlog_response *response, bool prints) {
    static fleetlog_client client;
    static fleetlog_config config;
    static uint32_t sum;
    uint8_t *body = malloc(body_max);
    check(body != NULL, "memory");
    config.event = on_event;
    config.context = &sum;
    client.config = &config;
    fleetlog_progress progress = FLEETLOG_MORE;
    fleetlog_response_begin(response);
    for (size_t at = 0; at < size && progress == FLEETLOG_MORE;) {
        size_t piece = 1 + below(piece_max);
        if (piece > size - at) piece = size - at;
        progress = fleetlog_response_read(response, body, body_max, data + at, piece);
        at += piece;
    }
    check(response->body_size <= body_max, "a body larger than its buffer");
    check(response->total <= FLEETLOG_RESPONSE_MAX + 1, "a response larger than its limit");
    if (progress == FLEETLOG_MORE) progress = fleetlog_response_end(response);
    if (progress == FLEETLOG_DONE) {
        fleetlog_ack ack;
        fleetlog_error error;
        fleetlog_event event = {.type = FLEETLOG_ACKNOWLEDGED};
        uint8_t *exact = malloc(response->body_size + 1) ;
        check(exact != NULL, "memory");
        memcpy(exact + 1, body, response->body_size); /* what lies before is not theirs either */
        bool is_ack = fleetlog_read_ack(exact + 1, response->body_size, response->is_cut, &ack, &client, &event);
        fleetlog_read_error(response, exact + 1, &error);
        fleetlog_has_sequence(exact + 1, response->body_size, 1, below(100));
        for (size_t index = 0; index < error.message.size; index += 1) sum += ((const uint8_t *)error.message.data)[index];
        if (prints) {
            printf("{\"status\":%u,\"kept\":%s,\"ack\":%s,\"sequence\":%u,\"accepted\":%u,\"rejected\":%u,\"code\":%u,\"delayMs\":%u,\"message\":\"",
                response->status, response->is_kept ? "true" : "false", is_ack ? "true" : "false",
                (unsigned)ack.sequence, (unsigned)ack.accepted, (unsigned)ack.rejected, (unsigned)error.code,
                (unsigned)error.delay_ms);
            for (size_t index = 0; index < error.message.size; index += 1)
                printf("%02x", ((const uint8_t *)error.message.data)[index]);
            printf("\"}\n");
        }
        free(exact);
    } else if (prints)
        printf("null\n");
    free(body);
    return progress;
}

/* What it comes to is in library.test.ts, in the same order. */
static const char *const good[] = {
    "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 6\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n\x0a\x04\r\n4\r\n\x08\x07\x10\x03\r\n0\r\nX: y\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:6\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.0 200 OK\r\n\r\n\x0a\x0e\x08\x07\x10\x03\x1a\x06\x08\x01\x12\x02hi\x28\x01",
    "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 32\r\n\r\n{\"code\":\"resource_exhausted\"   }",
    "HTTP/1.1 503 x\r\nContent-Length: 91\r\n\r\n"
    "{\"code\":\"unavailable\",\"details\":[{\"type\":\"google.rpc.RetryInfo\",\"value\":\"CggIAhCAyrXuAQ\"}]}",
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 60\r\n\r\n{\"message\":\"the \\\"code\\\":\\\"x\\\"\",\"code\" : \"invalid_argument\"}",
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\n<html>",
    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 301 Moved Permanently\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 x\r\nRetry-After: Fri, 01 Jan 2027 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 503 x\r\nRetry-After: 999999999\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\n\x1f\x8b\x08\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\x0a\x04\x08\x07\x10\x03HTTP/1.1 400 x\r\n\r\n",
    "HTTP/1.1 103 x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\n\r\n\x0a\x04\x08\x07\x10",
    "HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
    "012345678901234567890123456789\r\nContent-Length: 6\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\nContent-Length: -6\r\n\r\n\x0a\x04\x08\x07\x10\x03",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    "HTTP/2 200\r\n\r\n",
};
#define GOOD (sizeof good / sizeof *good)

int main(int argc, char **argv) {
    static uint8_t bytes[FLEETLOG_RESPONSE_MAX * 2];
    fleetlog_response response;
    check(argc == 3, "usage: fuzz-response SEED COUNT");
    seed = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    for (size_t index = 0; index < GOOD; index += 1) {
        size_t size = strlen(good[index]);
        read_all((const uint8_t *)good[index], size, 1024, 64, &response, true);
        for (size_t prefix = 0; prefix < size; prefix += 1)
            for (uint32_t room = 1; room < 256; room = room * 3)
                read_all((const uint8_t *)good[index], prefix, room, 7, &response, false);
    }
    for (long count = strtol(argv[2], NULL, 10); count > 0; count -= 1) {
        const char *from = good[below(GOOD)];
        size_t size = strlen(from);
        memcpy(bytes, from, size);
        for (uint32_t change = 1 + below(6); change > 0; change -= 1) {
            size_t at = below((uint32_t)size);
            size_t run = below(20);
            switch (below(4)) {
                case 0:
                    bytes[at] = (uint8_t)below(256);
                    break;
                case 1: /* a piece again */
                    if (at + run > size) run = size - at;
                    memmove(bytes + at + run, bytes + at, size - at);
                    size += run;
                    break;
                case 2: /* a piece less */
                    if (at + run >= size) run = size - at - 1;
                    memmove(bytes + at, bytes + at + run, size - at - run);
                    size -= run;
                    break;
                default: /* nothing but random bytes from here on */
                    for (; at < size; at += 1) bytes[at] = (uint8_t)below(256);
            }
        }
        read_all(bytes, size, 1 + below(1024), 1 + below(200), &response, false);
    }
    static const char *const endless[] = {"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n", "", "HTTP/1.1 100 C\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"};
    static const char *const repeated[] = {"x", "X: y\r\n", "HTTP/1.1 100 C\r\n\r\n", "1\r\nx\r\n", "1;", "0\r\nT: x\r\n"};
    for (size_t first = 0; first < sizeof endless / sizeof *endless; first += 1) {
        for (size_t then = 0; then < sizeof repeated / sizeof *repeated; then += 1) {
            size_t size = strlen(endless[first]);
            size_t more = strlen(repeated[then]);
            memcpy(bytes, endless[first], size);
            for (; size + more <= sizeof bytes; size += more) memcpy(bytes + size, repeated[then], more);
            check(read_all(bytes, size, 1024, 1460, &response, false) != FLEETLOG_MORE, "an endless response");
        }
    }
    return 0;
}
