/* How a table comes to act, in two steps: staged and compared, then activated; and armed. */
#ifndef CELLWRIGHT_STAGE_H
#define CELLWRIGHT_STAGE_H

#include "state.h"

/* All return 0 or a NAK code, and then nothing changed. */

/* A table of `size` bytes with this digest will follow. */
uint8_t stage_begin(board_t *board, uint16_t size, const uint8_t digest[32]);

uint8_t stage_data(board_t *board, uint16_t offset, const uint8_t *bytes, size_t count);

/* Makes the staged table the active one. The active one again: nothing changes. `detail` is that of
 * PROTOCOL.md. */
uint8_t stage_activate(board_t *board, const uint8_t digest[32], uint16_t *detail);

/* The session may command from now on, if this is the active table. `distrust`: the host does not
 * know the image, every channel latches where it is. */
uint8_t stage_arm(board_t *board, const uint8_t digest[32], bool distrust);

#endif
