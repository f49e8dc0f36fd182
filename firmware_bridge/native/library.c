/* The board as a shared library, for virtual time and for tests: thin, plain C types throughout, so
 * that also compiled Python can call it by address. A board here keeps its retained memory over
 * restarts, as no-init RAM does.
 */
#include "../core/bench.h"
#include "../core/bytes.h"
#include "../core/events.h"
#include "image.h"
#include "../core/state.h"
#include "../core/status.h"

#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct {
    board_t board;
    board_retained_t retained;
} native_t;

typedef struct {
    uint64_t time_us;
    uint32_t number;
    uint8_t kind, index, place, detail;
} native_event_t;

EXPORT native_t *cw_board_new(void)
{
    return calloc(1, sizeof(native_t));
}

EXPORT void cw_board_free(native_t *b)
{
    free(b);
}

EXPORT size_t cw_board_bytes(void)
{
    return sizeof(board_t);
}

EXPORT size_t cw_retained_bytes(void)
{
    return sizeof(board_retained_t);
}

/* The retained memory itself, to spoil or to save. */
EXPORT uint8_t *cw_retained(native_t *b)
{
    return (uint8_t *)&b->retained;
}

EXPORT const uint8_t *cw_image(void)
{
    return image_digest();
}

/* `image` NULL: this library's own digest. */
EXPORT void cw_start(native_t *b, uint64_t now_us, uint32_t boot_id, uint8_t reason,
                     const uint8_t *image)
{
    board_start(&b->board, now_us, boot_id, reason, &b->retained,
                image != NULL ? image : image_digest());
}

EXPORT void cw_receive(native_t *b, const uint8_t *bytes, size_t count, uint64_t now_us)
{
    board_receive(&b->board, bytes, count, now_us);
}

EXPORT size_t cw_transmit(native_t *b, uint8_t *bytes, size_t room)
{
    return board_transmit(&b->board, bytes, room);
}

/* Passes at from + step, ... up to and with `to`. */
EXPORT void cw_run(native_t *b, const board_inputs_t *inputs, uint64_t from_us, uint64_t to_us,
                   uint64_t step_us)
{
    for (uint64_t now_us = from_us + step_us; step_us > 0 && now_us <= to_us; now_us += step_us)
        board_pass(&b->board, inputs, now_us);
}

EXPORT void cw_outputs(native_t *b, uint8_t *digital, uint16_t *pwm)
{
    board_outputs_t outputs;
    board_outputs(&b->board, &outputs);
    *digital = outputs.digital;
    *pwm = outputs.pwm;
}

EXPORT int32_t cw_fed(native_t *b)
{
    return board_fed(&b->board) ? 1 : 0;
}

EXPORT uint32_t cw_dropped(const native_t *b)
{
    return b->board.inbox.dropped;
}

EXPORT int32_t cw_load(native_t *b, const uint8_t *bytes, size_t size)
{
    uint8_t code = size > TABLE_BYTES_MAX ? CW_NAK_TABLE_SIZE
                                          : bench_load_begin(&b->board, (uint16_t)size);
    if (code == 0)
        code = bench_load_data(&b->board, 0, bytes, size);
    return code != 0 ? code : bench_load_end(&b->board);
}

EXPORT int32_t cw_command(native_t *b, int32_t channel, int32_t value, int32_t lease_ms,
                          uint64_t now_us)
{
    uint8_t payload[CW_COMMAND_WRITES + CW_SIZEOF_WRITE] = {1, (uint8_t)channel};
    if (channel < 0 || channel >= (int32_t)CW_NONE)
        return CW_NAK_CHANNEL;
    if (value < 0 || value > UINT16_MAX)
        return CW_NAK_VALUE;
    if (lease_ms < 0 || lease_ms > UINT16_MAX)
        return CW_NAK_LEASE;
    put_u16(payload + CW_COMMAND_WRITES + CW_WRITE_VALUE, (uint16_t)value);
    put_u16(payload + CW_COMMAND_WRITES + CW_WRITE_LEASE_MS, (uint16_t)lease_ms);
    return bench_request(&b->board, CW_TYPE_COMMAND, payload, sizeof payload, now_us);
}

EXPORT int32_t cw_beat(native_t *b, uint32_t progress, uint32_t bypassed, uint64_t now_us)
{
    uint8_t payload[CW_BEAT_GIVEN] = {0};
    put_u32(payload + CW_BEAT_PROGRESS, progress);
    put_u32(payload + CW_BEAT_BYPASSED, bypassed);
    return bench_request(&b->board, CW_TYPE_BEAT, payload, sizeof payload, now_us);
}

/* As it stands, unjudged: for tests of the rows alone. */
EXPORT void cw_signal(native_t *b, int32_t index, double value, int32_t quality, int32_t reason,
                      int64_t sample_us)
{
    bench_signal(&b->board, (unsigned)index, value, (uint8_t)quality, (uint8_t)reason, sample_us);
}

/* As a BEAT gives it: judged. */
EXPORT int32_t cw_give(native_t *b, int32_t index, double value, int32_t quality, int32_t reason,
                       int64_t sample_us, uint64_t now_us)
{
    return bench_give(&b->board, (unsigned)index, value, (uint8_t)quality, (uint8_t)reason,
                      sample_us, now_us);
}

EXPORT int32_t cw_reset(native_t *b, int32_t row, uint64_t now_us)
{
    uint8_t payload[CW_SIZEOF_RESET] = {(uint8_t)row};
    if (row < 0 || row > UINT8_MAX)
        return CW_NAK_ROW;
    return bench_request(&b->board, CW_TYPE_RESET, payload, sizeof payload, now_us);
}

EXPORT int32_t cw_clear(native_t *b, uint32_t mask, uint64_t now_us)
{
    uint8_t payload[CW_SIZEOF_CLEAR];
    if (mask > UINT16_MAX)
        return CW_NAK_CHANNEL;
    put_u16(payload, (uint16_t)mask);
    return bench_request(&b->board, CW_TYPE_CLEAR, payload, sizeof payload, now_us);
}

EXPORT void cw_bypass(native_t *b, uint32_t rows, uint64_t now_us)
{
    bench_bypass(&b->board, (uint16_t)rows, now_us);
}

EXPORT void cw_scan_rows(native_t *b, uint64_t now_us)
{
    bench_scan(&b->board, now_us);
}

EXPORT int32_t cw_row(const native_t *b, int32_t row)
{
    return bench_row(&b->board, (unsigned)row);
}

EXPORT int32_t cw_forced(const native_t *b, int32_t channel)
{
    return bench_forced(&b->board, (unsigned)channel);
}

EXPORT int32_t cw_value(const native_t *b, int32_t channel)
{
    return channel >= 0 && channel < (int32_t)CW_CHANNELS_MAX
               ? b->board.channels[channel].output : -1;
}

EXPORT uint32_t cw_events_head(const native_t *b)
{
    return b->board.events.head;
}

/* The kept events from `from` on into `out` (room for CW_EVENTS_KEPT); how many. */
EXPORT int32_t cw_events(const native_t *b, uint32_t from, native_event_t *out)
{
    const events_t *events = &b->board.events;
    uint32_t first = events_first(events, from);
    for (uint32_t n = first; n != events->head; n++, out++) {
        unsigned at = n % CW_EVENTS_KEPT;
        *out = (native_event_t){(uint64_t)events->time_us[at], n, events->kind[at],
                                events->index[at], events->place[at], events->detail[at]};
    }
    return (int32_t)(events->head - first);
}

/* The payload a STATUS would have now, CW_SIZEOF_STATUS_MAX bytes at most; its size. */
EXPORT int32_t cw_status(const native_t *b, uint8_t *out)
{
    return (int32_t)status_write(&b->board, out);
}
