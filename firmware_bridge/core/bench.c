#include "bench.h"

#include "requests.h"
#include "rows.h"
#include "session.h"
#include "sha256.h"
#include "signals.h"
#include "stage.h"

uint8_t bench_load_begin(board_t *board, uint16_t size)
{
    static const uint8_t unknown[SHA256_BYTES] = {0};
    return stage_begin(board, size, unknown);
}

uint8_t bench_load_data(board_t *board, uint16_t offset, const uint8_t *bytes, size_t count)
{
    return stage_data(board, offset, bytes, count);
}

uint8_t bench_load_end(board_t *board)
{
    uint16_t detail;
    uint8_t *digest = board->staged.digest;
    sha256_of(board->staged.bytes, board->staged.size, digest);
    uint8_t code = stage_activate(board, digest, &detail);
    return code != 0 ? code : stage_arm(board, digest, false);
}

void bench_signal(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason,
                  int64_t sample_us)
{
    if (n >= CW_SIGNALS_MAX)
        return;
    board->signals.value[n] = value;
    board->signals.sample_us[n] = sample_us;
    board->signals.quality[n] = quality;
    board->signals.reason[n] = reason;
}

uint8_t bench_give(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason,
                   int64_t sample_us, uint64_t now_us)
{
    board_tick(board, now_us);
    if (n >= board->table.n_signals || quality > CW_QUALITY_BAD)
        return CW_NAK_SIGNAL;
    signal_give(board, n, value, quality, reason, sample_us);
    return 0;
}

uint8_t bench_request(board_t *board, uint8_t type, const uint8_t *payload, size_t size,
                      uint64_t now_us)
{
    const action_t *action = action_of(type);
    request_t request = {.type = type, .payload = payload, .size = (uint16_t)size};
    board_tick(board, now_us);
    if (action == NULL || action->reads)
        return CW_NAK_TYPE;
    if (size < action->size_min || size > action->size_max)
        return CW_NAK_LENGTH;
    if (board->session.state != CW_STATE_ARMED)
        return CW_NAK_NOT_ARMED;
    return action->act(board, &request).code;
}

void bench_bypass(board_t *board, uint16_t rows, uint64_t now_us)
{
    board_tick(board, now_us);
    board->session.bypassed = rows;
    board->session.alive_until_us = board->now_us + 1;
}

void bench_scan(board_t *board, uint64_t now_us)
{
    board_tick(board, now_us);
    signals_age(board);
    rows_evaluate(board, session_bypassed(board));
    rows_force(board);
}

uint16_t bench_row(const board_t *board, unsigned n)
{
    if (n >= CW_CAUSES_MAX)
        return (uint16_t)(CW_NONE << 8);
    return (uint16_t)(row_flags(board, n) | board->rows.place[n] << 8);
}

int32_t bench_forced(const board_t *board, unsigned n)
{
    if (n >= board->table.n_channels || !board->channels[n].forced)
        return -1;
    return board->channels[n].force;
}
