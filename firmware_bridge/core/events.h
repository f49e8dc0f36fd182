/* The board's own events: numbered since boot, the last 16 kept. */
#ifndef CELLWRIGHT_EVENTS_H
#define CELLWRIGHT_EVENTS_H

#include "state.h"

/* Adds an event at the board's time; STATUS follows soon. */
void event_add(board_t *board, uint8_t kind, unsigned index, uint8_t place, uint8_t detail);

/* The number of the first event an EVENTS request from `from` on is answered with. */
uint32_t events_first(const events_t *events, uint32_t from);

/* One event as EVENTS_LIST has it. */
void event_write(const events_t *events, uint32_t number, uint8_t *at);

/* Something changed that the host should learn soon. */
void board_changed(board_t *board);

#endif
