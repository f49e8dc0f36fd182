/* Everything the board knows, in one place: the definition of board_t.
 *
 * Arrays side by side instead of arrays of structs where padding would cost: RAM is 8 KiB.
 */
#ifndef CELLWRIGHT_STATE_H
#define CELLWRIGHT_STATE_H

#include "board.h"
#include "frame.h"

typedef int64_t us_t; /* board time; signed, because a sample may be older than this boot */

#define NEVER_US ((us_t)-1)

/* What is known of the pins: the last passes of each input. */
typedef struct {
    uint16_t raw[3][CW_ANALOG_MAX]; /* the last three passes; the median counts */
    uint32_t before;                /* digital inputs one pass ago */
    uint32_t digital;               /* debounced: what two passes in a row said */
    uint8_t passes;                 /* taken since boot; at 3 all is known */
    uint8_t quality[CW_ANALOG_MAX];
    uint8_t reason[CW_ANALOG_MAX];
    double value[CW_ANALOG_MAX];    /* of the last pass, also where it is bad */
} pins_in_t;

typedef struct {
    double value[CW_SIGNALS_MAX]; /* the last good one */
    us_t sample_us[CW_SIGNALS_MAX];
    uint8_t quality[CW_SIGNALS_MAX];
    uint8_t reason[CW_SIGNALS_MAX];
} signals_t;

/* What conditions, causes and first-out groups remember; fields as in the host's process image. */
typedef struct {
    us_t since_us[CW_CONDITIONS_MAX], last_us[CW_CONDITIONS_MAX];
    uint8_t compares[CW_CONDITIONS_MAX]; /* the comparison alone */
    uint8_t counts[CW_CONDITIONS_MAX];   /* after its delays */
    us_t raw_us[CW_CAUSES_MAX], bad_us[CW_CAUSES_MAX], active_us[CW_CAUSES_MAX];
    uint8_t raw[CW_CAUSES_MAX];
    uint8_t active[CW_CAUSES_MAX], latched[CW_CAUSES_MAX], invalid[CW_CAUSES_MAX];
    uint8_t place[CW_CAUSES_MAX];
    uint16_t places[CW_GROUPS_MAX];
    uint8_t standing[CW_GROUPS_MAX];
    uint16_t bypassed; /* rows, bit n = row n */
} rows_t;

typedef struct {
    us_t until_us;       /* end of the lease */
    uint16_t lease_ms;
    uint16_t wish;       /* what was last commanded */
    uint16_t held;       /* what a channel that keeps, keeps */
    uint16_t lock_value; /* what a locked channel does */
    uint16_t force;      /* what rows force */
    uint16_t output;     /* what the channel does */
    bool leased, locked, forced, protect; /* protect: one of the forces is a protect's */
    bool renews;         /* the lease is of the session that is open */
    uint8_t latch;       /* enum cw_latch_reason; 0 none */
} channel_t;

typedef struct {
    uint32_t head; /* events since boot */
    us_t time_us[CW_EVENTS_KEPT];
    uint8_t kind[CW_EVENTS_KEPT], index[CW_EVENTS_KEPT];
    uint8_t place[CW_EVENTS_KEPT], detail[CW_EVENTS_KEPT];
} events_t;

typedef struct {
    uint32_t allotted;   /* the last number given */
    uint32_t pending, open;
    uint16_t last;       /* sequence of the last request */
    uint8_t state;       /* enum cw_state */
    uint8_t reply_type;  /* of the last request: ACK, NAK, or 0 for one that only read */
    uint8_t reply[CW_SIZEOF_REPLY_NAK];
    bool progressed;     /* a progress is known */
    uint32_t progress;
    uint32_t bypassed;
    us_t alive_until_us; /* the beat */
} session_t;

typedef struct {
    uint16_t size; /* 0: nothing is being loaded */
    uint8_t digest[32];
    uint8_t bytes[TABLE_BYTES_MAX];
} staged_t;

typedef struct {
    uint32_t number;
    us_t sent_us;
    us_t changed_us; /* first change not yet told; NEVER_US none */
} telling_t;

struct board {
    us_t now_us;
    uint32_t boot_id;
    uint8_t reset_reason;
    bool has_table;
    bool looped, checked; /* what the watchdog asks: main loop, lease check */
    uint8_t image[32];
    board_retained_t *retained;
    table_t table;
    pins_in_t pins;
    signals_t signals;
    rows_t rows;
    channel_t channels[CW_CHANNELS_MAX];
    board_outputs_t outputs;
    events_t events;
    telling_t telling;
    session_t session;
    staged_t staged;
    inbox_t inbox;
    outbox_t outbox;
};

/* Time never goes back on the board, whatever a caller says. */
static inline void board_tick(board_t *board, uint64_t now_us)
{
    if ((us_t)now_us > board->now_us)
        board->now_us = (us_t)now_us;
}

#endif
