/* Frames on the line (PROTOCOL.md, Line and frame): bytes in, whole frames out, and back.
 *
 * COBS: Cheshire and Baker, Consistent Overhead Byte Stuffing, IEEE/ACM Transactions on Networking
 * 7 (1999) 159, doi:10.1109/90.769765. A frame has at most 252 bytes, so a block of 254 never
 * occurs in what we send; it may occur in what we get.
 */
#ifndef CELLWRIGHT_FRAME_H
#define CELLWRIGHT_FRAME_H

#include "protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTBOX_BYTES = 512 };

typedef struct {
    uint16_t taken;               /* encoded bytes since the last zero */
    uint16_t count;               /* decoded bytes */
    uint8_t left;                 /* bytes that the block still has */
    bool whole_block;             /* its code was 255: no zero stands after it */
    bool broken;                  /* skip to the next zero */
    uint8_t bytes[CW_FRAME_MAX];
    uint32_t dropped;             /* frames that were no frames */
} inbox_t;

typedef struct {
    uint16_t queued;
    uint8_t bytes[OUTBOX_BYTES];
} outbox_t;

/* Takes one byte; the size of the frame in `bytes` when this byte ended one with the right CRC,
 * else 0. The frame stays till the next byte. */
size_t inbox_take(inbox_t *inbox, uint8_t byte);

/* Where to put a payload of at most `size` bytes; NULL if the queue has no room for it. */
uint8_t *outbox_begin(outbox_t *outbox, size_t size);

/* Queues the frame whose payload was put there. */
void outbox_end(outbox_t *outbox, uint8_t type, uint32_t session, uint16_t sequence, size_t size);

/* Takes at most `room` bytes from the queue. */
size_t outbox_take(outbox_t *outbox, uint8_t *bytes, size_t room);

#endif
