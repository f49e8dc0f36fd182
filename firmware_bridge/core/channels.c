#include "channels.h"

#include "events.h"
#include "rows.h"

enum { US_PER_MS = 1000 };

static bool keeps(const board_t *board, unsigned n)
{
    return channel_row(&board->table, n)[CW_T_CHANNEL_KEEP] == 1;
}

/* Where the lapse rule puts a channel. */
static uint16_t lapsed_value(const board_t *board, unsigned n)
{
    if (keeps(board, n))
        return board->channels[n].held;
    return get_u16(channel_row(&board->table, n) + CW_T_CHANNEL_LAPSE);
}

/* What a channel does when no row forces it. */
static uint16_t unforced(const board_t *board, unsigned n)
{
    const channel_t *channel = &board->channels[n];
    if (channel->locked)
        return channel->lock_value;
    if (channel->latch != 0 || !channel->leased)
        return lapsed_value(board, n);
    return channel->wish;
}

static us_t lease_us(const channel_t *channel)
{
    return (us_t)channel->lease_ms * US_PER_MS;
}

/* What a latched channel may be told: what it does anyway, and where it is without power. The host
 * must be able to open the contactor of a board it does not trust. */
static bool is_harmless(const board_t *board, unsigned n, uint16_t value)
{
    uint16_t start = get_u16(channel_row(&board->table, n) + CW_T_CHANNEL_START);
    return value == lapsed_value(board, n) || (keeps(board, n) && value == start);
}

uint8_t channel_refuses(const board_t *board, unsigned n, uint16_t value, uint16_t lease_ms)
{
    if (n >= board->table.n_channels)
        return CW_NAK_CHANNEL;
    if (!is_value(n, value))
        return CW_NAK_VALUE;
    const uint8_t *row = channel_row(&board->table, n);
    if (lease_ms == 0 || lease_ms > get_u16(row + CW_T_CHANNEL_LEASE_MS_MAX))
        return CW_NAK_LEASE;
    if (board->channels[n].latch != 0 && !is_harmless(board, n, value))
        return CW_NAK_LATCHED;
    return 0;
}

void channel_command(board_t *board, unsigned n, uint16_t value, uint16_t lease_ms)
{
    channel_t *channel = &board->channels[n];
    channel->wish = value;
    if (channel->latch != 0 && keeps(board, n))
        channel->held = value; /* there it stays until CLEAR */
    channel->lease_ms = lease_ms;
    channel->until_us = board->now_us + lease_us(channel);
    channel->leased = true;
    channel->renews = true;
    if (!rows_protect(board, n))
        channel->locked = false;
}

void leases_renew(board_t *board)
{
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        channel_t *channel = &board->channels[n];
        /* One that has run out since the last pass has run out. */
        if (channel->leased && channel->renews && board->now_us < channel->until_us)
            channel->until_us = board->now_us + lease_us(channel);
    }
}

void leases_part(board_t *board)
{
    for (unsigned n = 0; n < board->table.n_channels; n++)
        board->channels[n].renews = false;
}

void leases_end(board_t *board)
{
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        channel_t *channel = &board->channels[n];
        if (!channel->leased || board->now_us < channel->until_us)
            continue;
        channel->held = unforced(board, n);
        channel->leased = false;
        if (channel_row(&board->table, n)[CW_T_CHANNEL_LATCH] == 1)
            channel_latch(board, n, CW_LATCH_LEASE); /* one event says both */
        else
            event_add(board, CW_EVENT_LAPSED, n, CW_NONE, 0);
    }
}

void leases_check(board_t *board)
{
    leases_end(board);
    board->checked = true;
}

void channel_latch(board_t *board, unsigned n, uint8_t reason)
{
    channel_t *channel = &board->channels[n];
    if (channel->latch != 0)
        return;
    /* Stays where it is. What an interlock takes off it for a while comes back with that interlock;
     * another table may not have it any more, so there the pin itself stays. */
    if (reason == CW_LATCH_IMAGE)
        channel->held = unforced(board, n);
    else if (reason == CW_LATCH_TABLE)
        channel->held = channel->output;
    channel->latch = reason;
    channel->leased = false;
    event_add(board, CW_EVENT_LATCHED, n, CW_NONE, reason);
}

void channels_clear(board_t *board, uint16_t mask)
{
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        channel_t *channel = &board->channels[n];
        if (!has_bit(mask, n) || channel->latch == 0)
            continue;
        channel->latch = 0;
        channel->leased = false;
        event_add(board, CW_EVENT_UNLATCHED, n, CW_NONE, 0);
    }
}

/* Moves one channel; true if it moved. */
static bool drive(board_t *board, unsigned n)
{
    channel_t *channel = &board->channels[n];
    uint16_t value = channel->forced ? channel->force : unforced(board, n);
    if (channel->protect)
        channel->locked = true;
    if (channel->forced && channel->locked)
        channel->lock_value = value; /* a reset starts nothing: there it stays until a COMMAND */
    bool moved = value != channel->output;
    channel->output = value;
    return moved;
}

void channels_drive(board_t *board)
{
    board_outputs_t outputs = {0, 0};
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        if (drive(board, n))
            board_changed(board);
        if (n == CW_PWM_CHANNEL)
            outputs.pwm = board->channels[n].output;
        else
            outputs.digital = (uint8_t)(outputs.digital | board->channels[n].output << n);
    }
    board->outputs = outputs;
}

uint16_t channels_latched(const board_t *board)
{
    unsigned mask = 0;
    for (unsigned n = 0; n < board->table.n_channels; n++)
        mask |= board->channels[n].latch != 0 ? 1U << n : 0U;
    return (uint16_t)mask;
}

uint16_t channels_forced(const board_t *board)
{
    unsigned mask = 0;
    for (unsigned n = 0; n < board->table.n_channels; n++)
        mask |= board->channels[n].forced ? 1U << n : 0U;
    return (uint16_t)mask;
}

uint8_t channels_wished(const board_t *board)
{
    unsigned mask = 0;
    for (unsigned n = 0; n < board->table.n_channels && n < CW_PWM_CHANNEL; n++)
        mask |= board->channels[n].wish != 0 ? 1U << n : 0U;
    return (uint8_t)mask;
}

void channels_forget(board_t *board)
{
    memset(board->channels, 0, sizeof board->channels);
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        uint16_t start = get_u16(channel_row(&board->table, n) + CW_T_CHANNEL_START);
        board->channels[n].held = start;
        board->channels[n].wish = start;
    }
}
