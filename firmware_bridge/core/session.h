/* Requests of the host: sessions, sequence numbers, cached replies, what each request may do when.
 *
 * A request with any wrong part changes nothing but the sequence number. (PROTOCOL.md, Session.)
 */
#ifndef CELLWRIGHT_SESSION_H
#define CELLWRIGHT_SESSION_H

#include "state.h"

/* One whole frame with the right CRC, `size` bytes with it. */
void session_take(board_t *board, const uint8_t *frame, size_t size);

/* The rows bypassed now: a BEAT's, for as long as the beat is alive. */
uint16_t session_bypassed(const board_t *board);


#endif
