#include "requests.h"

#include "bytes.h"
#include "channels.h"
#include "events.h"
#include "rows.h"
#include "signals.h"
#include "stage.h"

enum { US_PER_MS = 1000 };

#define FOREVER_US ((us_t)1 << 50)

static const refusal_t DONE = {0, 0};

static refusal_t refused(uint8_t code, unsigned detail)
{
    return (refusal_t){code, (uint16_t)detail};
}

static refusal_t table_begin(board_t *board, const request_t *r)
{
    uint16_t size = get_u16(r->payload + CW_TABLE_BEGIN_SIZE);
    uint8_t code = stage_begin(board, size, r->payload + CW_TABLE_BEGIN_DIGEST);
    return refused(code, code != 0 ? TABLE_BYTES_MAX : 0U);
}

static refusal_t table_data(board_t *board, const request_t *r)
{
    uint16_t offset = get_u16(r->payload + CW_TABLE_DATA_OFFSET);
    uint8_t code = stage_data(board, offset, r->payload + CW_TABLE_DATA_DATA,
                              r->size - CW_TABLE_DATA_DATA);
    return refused(code, code != 0 ? board->staged.size : 0U);
}

static refusal_t table_read_back(board_t *board, const request_t *r)
{
    uint16_t offset = get_u16(r->payload + CW_TABLE_READ_OFFSET);
    uint8_t count = r->payload[CW_TABLE_READ_COUNT];
    if (count == 0 || count > CW_CHUNK_MAX)
        return refused(CW_NAK_LENGTH, count);
    if ((size_t)offset + count > board->staged.size)
        return refused(CW_NAK_TABLE_SIZE, board->staged.size);
    uint8_t *reply = outbox_begin(&board->outbox, CW_TABLE_BYTES_DATA + count);
    if (reply == NULL)
        return DONE; /* the host asks again */
    put_u16(reply + CW_TABLE_BYTES_OFFSET, offset);
    memcpy(reply + CW_TABLE_BYTES_DATA, board->staged.bytes + offset, count);
    outbox_end(&board->outbox, CW_TYPE_TABLE_BYTES, r->session, r->sequence,
               CW_TABLE_BYTES_DATA + count);
    return DONE;
}

static refusal_t activate(board_t *board, const request_t *r)
{
    uint16_t detail = 0;
    uint8_t code = stage_activate(board, r->payload + CW_TABLE_ACTIVATE_DIGEST, &detail);
    return refused(code, detail);
}

static refusal_t arm(board_t *board, const request_t *r)
{
    bool distrust = r->payload[CW_ARM_DISTRUST] != 0;
    return refused(stage_arm(board, r->payload + CW_ARM_DIGEST, distrust), 0);
}

static const uint8_t *write_of(const request_t *r, size_t n)
{
    return r->payload + CW_COMMAND_WRITES + n * CW_SIZEOF_WRITE;
}

static refusal_t command(board_t *board, const request_t *r)
{
    unsigned count = r->payload[CW_COMMAND_WRITES_COUNT];
    size_t size = CW_COMMAND_WRITES + (size_t)count * CW_SIZEOF_WRITE;
    if (count == 0 || count > CW_WRITES_MAX || r->size != size)
        return refused(CW_NAK_LENGTH, r->size);
    leases_end(board); /* what ran out since the last pass, no command may save */
    for (unsigned n = 0; n < count; n++) {
        const uint8_t *write = write_of(r, n);
        uint8_t code = channel_refuses(board, write[CW_WRITE_CHANNEL],
                                       get_u16(write + CW_WRITE_VALUE),
                                       get_u16(write + CW_WRITE_LEASE_MS));
        if (code != 0)
            return refused(code, write[CW_WRITE_CHANNEL]);
    }
    for (unsigned n = 0; n < count; n++) {
        const uint8_t *write = write_of(r, n);
        channel_command(board, write[CW_WRITE_CHANNEL], get_u16(write + CW_WRITE_VALUE),
                        get_u16(write + CW_WRITE_LEASE_MS));
    }
    return DONE;
}

/* Rows that may not be bypassed, and signals that are not the host's to give. */
static refusal_t beat_wrong(const board_t *board, uint32_t bypassed, const uint8_t *given,
                            unsigned count)
{
    for (unsigned n = 0; n < 32; n++) {
        if (!has_bit(bypassed, n))
            continue;
        if (n >= board->table.n_causes)
            return refused(CW_NAK_ROW, n);
        if (cause_row(&board->table, n)[CW_T_CAUSE_BYPASSABLE] != 1)
            return refused(CW_NAK_BYPASS, n);
    }
    for (unsigned n = 0; n < count; n++, given += CW_SIZEOF_GIVEN) {
        unsigned signal = given[CW_GIVEN_SIGNAL];
        if (signal >= board->table.n_signals
            || signal_row(&board->table, signal)[CW_T_SIGNAL_SOURCE] != CW_SOURCE_HOST
            || given[CW_GIVEN_QUALITY] > CW_QUALITY_BAD)
            return refused(CW_NAK_SIGNAL, signal);
    }
    return DONE;
}

/* A scan counter that moved: the host lives, and what it commanded stands for another lease. */
static void progress(session_t *session, board_t *board, uint32_t counter)
{
    if (session->progressed && session->progress == counter)
        return;
    session->progressed = true;
    session->progress = counter;
    session->alive_until_us = board->now_us + (us_t)CW_BEAT_ALIVE_MS * US_PER_MS;
    leases_renew(board);
}

static refusal_t beat(board_t *board, const request_t *r)
{
    const uint8_t *given = r->payload + CW_BEAT_GIVEN;
    unsigned count = r->payload[CW_BEAT_GIVEN_COUNT];
    uint32_t bypassed = get_u32(r->payload + CW_BEAT_BYPASSED);
    if (count > CW_GIVEN_MAX || r->size != CW_BEAT_GIVEN + count * CW_SIZEOF_GIVEN)
        return refused(CW_NAK_LENGTH, r->size);
    refusal_t wrong = beat_wrong(board, bypassed, given, count);
    if (wrong.code != 0)
        return wrong;
    for (unsigned n = 0; n < count; n++, given += CW_SIZEOF_GIVEN) {
        us_t age_ms = get_u16(given + CW_GIVEN_AGE_MS);
        us_t age_us = age_ms < UINT16_MAX ? age_ms * US_PER_MS : FOREVER_US; /* that or more */
        signal_give(board, given[CW_GIVEN_SIGNAL], get_f64(given + CW_GIVEN_VALUE),
                    given[CW_GIVEN_QUALITY], given[CW_GIVEN_REASON], board->now_us - age_us);
    }
    board->session.bypassed = bypassed;
    progress(&board->session, board, get_u32(r->payload + CW_BEAT_PROGRESS));
    return DONE;
}

static refusal_t reset(board_t *board, const request_t *r)
{
    uint8_t row = r->payload[CW_RESET_ROW];
    if (row >= board->table.n_causes)
        return refused(CW_NAK_ROW, row);
    uint8_t code = row_reset(board, row);
    return refused(code, code != 0 ? row : 0U);
}

static refusal_t clear(board_t *board, const request_t *r)
{
    uint16_t mask = get_u16(r->payload + CW_CLEAR_CHANNELS);
    for (unsigned n = board->table.n_channels; n < 16; n++)
        if (has_bit(mask, n))
            return refused(CW_NAK_CHANNEL, n);
    channels_clear(board, mask);
    return DONE;
}

static refusal_t events(board_t *board, const request_t *r)
{
    const events_t *kept = &board->events;
    uint32_t first = events_first(kept, get_u32(r->payload + CW_EVENTS_START));
    uint32_t left = kept->head - first;
    uint8_t count = (uint8_t)(left < CW_EVENTS_MAX ? left : CW_EVENTS_MAX);
    size_t size = CW_EVENTS_LIST_EVENTS + (size_t)count * CW_SIZEOF_EVENT;
    uint8_t *reply = outbox_begin(&board->outbox, size);
    if (reply == NULL)
        return DONE; /* the host asks again */
    put_u32(reply + CW_EVENTS_LIST_FIRST, first);
    put_u32(reply + CW_EVENTS_LIST_HEAD, kept->head);
    reply[CW_EVENTS_LIST_EVENTS_COUNT] = count;
    reply += CW_EVENTS_LIST_EVENTS;
    for (uint32_t n = 0; n < count; n++, reply += CW_SIZEOF_EVENT)
        event_write(kept, first + n, reply);
    outbox_end(&board->outbox, CW_TYPE_EVENTS_LIST, r->session, r->sequence, size);
    return DONE;
}

const action_t *action_of(uint8_t type)
{
    static const action_t actions[] = {
        [CW_TYPE_TABLE_BEGIN] = {table_begin, ONLY_UNARMED, CW_SIZEOF_TABLE_BEGIN,
                                 CW_SIZEOF_TABLE_BEGIN, false},
        [CW_TYPE_TABLE_DATA] = {table_data, ONLY_UNARMED, CW_SIZEOF_TABLE_DATA_MIN,
                                CW_SIZEOF_TABLE_DATA_MAX, false},
        [CW_TYPE_TABLE_READ] = {table_read_back, ONLY_UNARMED, CW_SIZEOF_TABLE_READ,
                                CW_SIZEOF_TABLE_READ, true},
        [CW_TYPE_TABLE_ACTIVATE] = {activate, ONLY_UNARMED, CW_SIZEOF_TABLE_ACTIVATE,
                                    CW_SIZEOF_TABLE_ACTIVATE, false},
        [CW_TYPE_ARM] = {arm, ANY_TIME, CW_SIZEOF_ARM, CW_SIZEOF_ARM, false},
        [CW_TYPE_COMMAND] = {command, ONLY_ARMED, CW_SIZEOF_COMMAND_MIN, CW_SIZEOF_COMMAND_MAX,
                             false},
        [CW_TYPE_BEAT] = {beat, ONLY_ARMED, CW_SIZEOF_BEAT_MIN, CW_SIZEOF_BEAT_MAX, false},
        [CW_TYPE_RESET] = {reset, ONLY_ARMED, CW_SIZEOF_RESET, CW_SIZEOF_RESET, false},
        [CW_TYPE_CLEAR] = {clear, ONLY_ARMED, CW_SIZEOF_CLEAR, CW_SIZEOF_CLEAR, false},
        [CW_TYPE_EVENTS] = {events, ANY_TIME, CW_SIZEOF_EVENTS, CW_SIZEOF_EVENTS, true},
    };
    if (type >= sizeof actions / sizeof actions[0] || actions[type].act == NULL)
        return NULL;
    return &actions[type];
}
