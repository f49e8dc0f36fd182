#include "events.h"

#include "bytes.h"

void board_changed(board_t *board)
{
    if (board->telling.changed_us == NEVER_US)
        board->telling.changed_us = board->now_us;
}

void event_add(board_t *board, uint8_t kind, unsigned index, uint8_t place, uint8_t detail)
{
    events_t *events = &board->events;
    unsigned at = events->head % CW_EVENTS_KEPT;
    events->time_us[at] = board->now_us;
    events->kind[at] = kind;
    events->index[at] = (uint8_t)index;
    events->place[at] = place;
    events->detail[at] = detail;
    events->head++;
    board_changed(board);
}

uint32_t events_first(const events_t *events, uint32_t from)
{
    uint32_t kept = events->head < CW_EVENTS_KEPT ? events->head : CW_EVENTS_KEPT;
    uint32_t oldest = events->head - kept;
    if (from < oldest)
        return oldest;
    return from < events->head ? from : events->head;
}

void event_write(const events_t *events, uint32_t number, uint8_t *at)
{
    unsigned place = number % CW_EVENTS_KEPT;
    put_u64(at + CW_EVENT_TIME_US, (uint64_t)events->time_us[place]);
    at[CW_EVENT_KIND] = events->kind[place];
    at[CW_EVENT_INDEX] = events->index[place];
    at[CW_EVENT_PLACE] = events->place[place];
    at[CW_EVENT_DETAIL] = events->detail[place];
}
