/* One end of a byte stream that serves one peer at a time: a PTY, or a TCP or UNIX socket. */
#ifndef CELLWRIGHT_ENDPOINT_H
#define CELLWRIGHT_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENDPOINT_NAME = 128, ENDPOINT_HELD = 512 };

typedef struct {
    int listener; /* -1 for a PTY */
    int peer;     /* -1: nobody there */
    int kept;     /* a PTY's other end, held open so that the peer may come and go */
    char name[ENDPOINT_NAME];
    uint8_t held[ENDPOINT_HELD]; /* taken from the board, not yet from us */
    size_t n_held;
} endpoint_t;

/* Opens `pty`, `tcp:PORT` (0: any) on the loopback, or `unix:PATH`; false with errno if not. */
bool endpoint_open(endpoint_t *endpoint, const char *what);

/* Takes a new peer in place of the old one, if one knocks. */
void endpoint_accept(endpoint_t *endpoint);

/* Bytes that came, at most `room`; 0 if none. A peer that left is gone after this. */
size_t endpoint_read(endpoint_t *endpoint, uint8_t *bytes, size_t room);

/* Sends what `take` gives; what does not go now goes later, and nothing more is taken before. */
void endpoint_send(endpoint_t *endpoint, size_t (*take)(void *, uint8_t *, size_t), void *from);

#endif
