/* STATUS, unasked: what the board does and sees. */
#ifndef CELLWRIGHT_STATUS_H
#define CELLWRIGHT_STATUS_H

#include "state.h"

/* Writes the payload of STATUS, CW_SIZEOF_STATUS_MAX bytes at most; its size. */
size_t status_write(const board_t *board, uint8_t *at);

/* Queues a STATUS if it is time for one. */
void status_tell(board_t *board);

#endif
