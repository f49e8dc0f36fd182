/* What survives a reset of the processor: the active table, and with it what channels that `retain`
 * did and which rows were latched. And how a table becomes the active one.
 *
 * A record is believed only whole (CRC-32) and only beside a table of its digest. Of its two copies
 * one is always whole: the newer one counts.
 */
#ifndef CELLWRIGHT_KEPT_H
#define CELLWRIGHT_KEPT_H

#include "state.h"

/* Writes the record if something in it changed. */
void kept_update(board_t *board);

/* Takes table, values and row latches from the record; false if there is none to believe. */
bool kept_restore(board_t *board);

/* Makes the staged table, which was read without fault, the active one. Latches what must be. */
void table_activate(board_t *board, const table_t *staged, const uint8_t digest[32]);

#endif
