#include "board.h"

#include "channels.h"
#include "events.h"
#include "kept.h"
#include "rows.h"
#include "session.h"
#include "signals.h"
#include "state.h"
#include "status.h"

/* 2^32 / golden ratio: the session numbers of boots one apart begin far apart. */
static const uint32_t SPREAD = 0x9E3779B1U;

size_t board_bytes(void)
{
    return sizeof(board_t);
}

void board_start(board_t *board, uint64_t now_us, uint32_t boot_id, uint8_t reset_reason,
                 board_retained_t *retained, const uint8_t image[32])
{
    memset(board, 0, sizeof *board);
    board->now_us = (us_t)now_us;
    board->boot_id = boot_id;
    board->reset_reason = reset_reason;
    board->retained = retained;
    memcpy(board->image, image, sizeof board->image);
    board->session.allotted = boot_id * SPREAD;
    board->telling.changed_us = NEVER_US;
    signals_forget(board);
    rows_forget(board);
    event_add(board, CW_EVENT_BOOT, 0, CW_NONE, reset_reason);
    if (reset_reason == CW_BOOT_POWER_UP || !kept_restore(board)) {
        memset(retained, 0, sizeof *retained);
        return;
    }
    for (unsigned n = 0; n < board->table.n_channels; n++)
        if (channel_row(&board->table, n)[CW_T_CHANNEL_LATCH] == 1)
            channel_latch(board, n, CW_LATCH_RESTART);
    rows_force(board);
    channels_drive(board);
    kept_update(board);
}

void board_receive(board_t *board, const uint8_t *bytes, size_t count, uint64_t now_us)
{
    board_tick(board, now_us);
    board->looped = true;
    for (size_t n = 0; n < count; n++) {
        size_t size = inbox_take(&board->inbox, bytes[n]);
        if (size > 0)
            session_take(board, board->inbox.bytes, size);
    }
}

void board_pass(board_t *board, const board_inputs_t *inputs, uint64_t now_us)
{
    board_tick(board, now_us);
    pins_take(board, inputs);
    if (board->has_table && pins_known(board)) {
        signals_sense(board);
        signals_age(board);
        rows_evaluate(board, session_bypassed(board));
        rows_force(board);
    }
    leases_check(board);
    channels_drive(board);
    if (board->has_table)
        kept_update(board);
    status_tell(board);
}

size_t board_transmit(board_t *board, uint8_t *bytes, size_t room)
{
    board->looped = true;
    return outbox_take(&board->outbox, bytes, room);
}

void board_outputs(const board_t *board, board_outputs_t *outputs)
{
    *outputs = board->outputs;
}

bool board_fed(board_t *board)
{
    bool fed = board->looped && board->checked;
    if (fed) {
        board->looped = false;
        board->checked = false;
    }
    return fed;
}
