/* What each request does: all of it or nothing. */
#ifndef CELLWRIGHT_REQUESTS_H
#define CELLWRIGHT_REQUESTS_H

#include "state.h"

typedef struct {
    uint8_t type;
    uint32_t session;
    uint16_t sequence;
    const uint8_t *payload;
    uint16_t size; /* of the payload */
} request_t;

typedef struct {
    uint8_t code; /* enum cw_nak; 0: it was done */
    uint16_t detail;
} refusal_t;

/* When a request is taken. */
enum { ANY_TIME, ONLY_ARMED, ONLY_UNARMED };

typedef struct {
    refusal_t (*act)(board_t *board, const request_t *request);
    uint8_t when;
    uint8_t size_min, size_max;
    bool reads; /* changes nothing and answers itself */
} action_t;

/* The action of a type; NULL if there is no such request. */
const action_t *action_of(uint8_t type);

#endif
