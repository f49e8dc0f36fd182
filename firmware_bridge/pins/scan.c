/* The rows of the core by themselves (core/bench.h), driven over the strip: for the test that
 * compares them with the kernel's on the emulated image. */
#include "pins.h"

#include "bench.h"
#include "bytes.h"
#include "events.h"
#include "state.h"

enum {
    LOAD = 0x66, SCAN = 0x67, ROWS = 0x68, LOADED = 0x69, TELL = 0x6A,
    LOAD_HEAD = 4, SCAN_HEAD = 11, SIGNAL_SIZE = 19, EVENT_SIZE = 3,
};

static uint8_t load(pins_t *pins, board_t *board, const uint8_t *payload, size_t count)
{
    const uint16_t size = get_u16(payload), offset = get_u16(payload + 2);
    uint8_t nak = offset == 0 ? bench_load_begin(board, size) : 0;
    count -= LOAD_HEAD;
    if (nak == 0)
        nak = bench_load_data(board, offset, payload + LOAD_HEAD, count);
    if (nak == 0 && offset + count == size) {
        nak = bench_load_end(board);
        pins->events = board->events.head;
    }
    return nak;
}

/* Bypasses, then resets in the order named, then signals. False if the lists are not as long as
 * they say. */
static bool take(pins_t *pins, board_t *board, const uint8_t *payload, size_t size)
{
    const uint64_t now_us = get_u64(payload);
    const uint8_t n_rows = payload[SCAN_HEAD - 1], *rows = payload + SCAN_HEAD;
    if (size < SCAN_HEAD + (size_t)n_rows + 1U)
        return false;
    const uint8_t count = rows[n_rows], *given = rows + n_rows + 1;
    if (size != SCAN_HEAD + (size_t)n_rows + 1U + (size_t)count * SIGNAL_SIZE)
        return false;
    bench_bypass(board, get_u16(payload + 8), now_us);
    for (unsigned k = 0; k < n_rows; k++)
        if (bench_request(board, CW_TYPE_RESET, rows + k, CW_SIZEOF_RESET, now_us) != 0)
            pins->refused |= (uint16_t)(1U << (k & 15U));
    for (unsigned k = 0; k < count; k++, given += SIGNAL_SIZE)
        (void)bench_give(board, given[0], get_f64(given + 11), given[1], given[2],
                         (int64_t)get_u64(given + 3), now_us);
    return true;
}

static uint8_t *tell_rows(const board_t *board, uint8_t *at)
{
    *at++ = board->table.n_causes;
    for (unsigned n = 0; n < board->table.n_causes; n++, at += 2)
        put_u16(at, bench_row(board, n));
    *at++ = board->table.n_channels;
    for (unsigned n = 0; n < board->table.n_channels; n++, at += 2)
        put_u16(at, (uint16_t)bench_forced(board, n)); /* -1: 65535 */
    return at;
}

static void tell_events(const board_t *board, uint8_t *at, uint32_t first)
{
    *at++ = (uint8_t)(board->events.head - first);
    for (; first != board->events.head; first++, at += EVENT_SIZE) {
        uint8_t event[CW_SIZEOF_EVENT];
        event_write(&board->events, first, event);
        at[0] = event[CW_EVENT_KIND];
        at[1] = event[CW_EVENT_INDEX];
        at[2] = event[CW_EVENT_PLACE];
    }
}

static void tell(pins_t *pins, const board_t *board, uint16_t sequence)
{
    const uint32_t first = events_first(&board->events, pins->events);
    const size_t size = 5U + 2U * board->table.n_causes + 2U * board->table.n_channels
                        + (size_t)EVENT_SIZE * (board->events.head - first);
    uint8_t *at = outbox_begin(&pins->outbox, size);
    if (at == NULL)
        return;
    put_u16(at, pins->refused);
    tell_events(board, tell_rows(board, at + 2), first);
    outbox_end(&pins->outbox, ROWS, 0, sequence, size);
    pins->refused = 0;
    pins->events = board->events.head;
}

static void tell_loaded(pins_t *pins, uint16_t sequence, uint8_t nak)
{
    uint8_t *at = outbox_begin(&pins->outbox, 1);
    if (at == NULL)
        return;
    at[0] = nak;
    outbox_end(&pins->outbox, LOADED, 0, sequence, 1);
}

bool pins_bench(pins_t *pins, board_t *board, const uint8_t *frame, size_t frame_size)
{
    const uint8_t type = frame[CW_FRAME_TYPE], *payload = frame + CW_HEAD_SIZE;
    const uint16_t sequence = get_u16(frame + CW_FRAME_SEQUENCE);
    const size_t size = frame_size - CW_HEAD_SIZE - CW_CRC_SIZE;
    if ((type == TELL || type == SCAN) && size > SCAN_HEAD && pins->lockstep) {
        if (take(pins, board, payload, size) && type == SCAN) {
            bench_scan(board, get_u64(payload));
            tell(pins, board, sequence);
        }
        return true;
    }
    if (type == LOAD && size > LOAD_HEAD) {
        tell_loaded(pins, sequence, load(pins, board, payload, size));
        return true;
    }
    return false;
}
