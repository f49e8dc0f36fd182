/* Outputs: wishes for as long as their lease, what a lapse leaves, latches, locks.
 *
 * A channel does, first that applies: what a row forces; while locked, what it was last forced to;
 * while latched or without a lease its lapse rule; its wish. (PROTOCOL.md, Leases, lapse, latch.)
 */
#ifndef CELLWRIGHT_CHANNELS_H
#define CELLWRIGHT_CHANNELS_H

#include "state.h"

/* Why one write of a COMMAND would be refused: a NAK code, 0 if it would not. */
uint8_t channel_refuses(const board_t *board, unsigned n, uint16_t value, uint16_t lease_ms);

/* A write that is not refused. */
void channel_command(board_t *board, unsigned n, uint16_t value, uint16_t lease_ms);

/* Renews every lease that still runs and was given in the open session, each by its own length. */
void leases_renew(board_t *board);

/* Another session is open: what the one before commanded runs out. */
void leases_part(board_t *board);

/* Lapses every lease that has run out. */
void leases_end(board_t *board);

/* The same, as a pass's check of them all: what the watchdog asks for. */
void leases_check(board_t *board);

/* Latches a channel that is not latched, where its lapse rule puts it. */
void channel_latch(board_t *board, unsigned n, uint8_t reason);

/* Takes the latches of the mask off; starts nothing. */
void channels_clear(board_t *board, uint16_t mask);

/* Decides what every channel does now. */
void channels_drive(board_t *board);

/* Bit n = channel n is latched; is forced by a row. */
uint16_t channels_latched(const board_t *board);
uint16_t channels_forced(const board_t *board);

/* What was last commanded of the digital outputs. */
uint8_t channels_wished(const board_t *board);

/* No lease, no latch; a channel that keeps is at its start value. */
void channels_forget(board_t *board);

#endif
