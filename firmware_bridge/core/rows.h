/* The decision code: causes with their votes, delays, latches and first-out; what they force.
 *
 * Exactly controller/field/matrix.py and effects.py, with microseconds for nanoseconds, without
 * what a board does not have: permits, plausibilities, bounds, means, read-backs. Meanings after
 * VDI 2658 and IEC 62881.
 */
#ifndef CELLWRIGHT_ROWS_H
#define CELLWRIGHT_ROWS_H

#include "state.h"

/* Every row once, with the rows of `bypassed` (bit n = row n) bypassed; edges become events. */
void rows_evaluate(board_t *board, uint16_t bypassed);

/* What the rows in force ask of the channels: force, and whether a protect is among them. */
void rows_force(board_t *board);

/* Whether a protect that stands or is latched forces this channel. */
bool rows_protect(const board_t *board, unsigned channel);

/* Takes the latch off a row that is gone with its signals good; starts nothing. 0, or CW_NAK_STANDS
 * or CW_NAK_BLIND and nothing happened. */
uint8_t row_reset(board_t *board, unsigned n);

/* Latches a protect that was latched before the processor was reset, once, after rows_forget: no
 * event, nothing new. */
void row_latch(board_t *board, unsigned n);

/* Flags of STATUS. */
uint8_t row_flags(const board_t *board, unsigned n);

/* The rows that are latched, bit n = row n. */
uint16_t rows_latched(const board_t *board);

/* Nothing has happened yet. */
void rows_forget(board_t *board);

#endif
