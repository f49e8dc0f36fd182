#include "rows.h"

#include "events.h"

enum vote { NO, TRUE, BLIND };

enum { PLACE_MAX = CW_NONE - 1 };

static bool in_force(const rows_t *rows, unsigned n)
{
    return rows->active[n] != 0 || rows->latched[n] != 0;
}

/* One comparison with hysteresis and delays; its signal is not bad, or that is what it asks. */
static bool condition_true(board_t *board, unsigned n, const uint8_t *row)
{
    rows_t *rows = &board->rows;
    uint8_t op = row[CW_T_CONDITION_OP], signal = row[CW_T_CONDITION_SIGNAL];
    double value = board->signals.value[signal], limit = get_f64(row + CW_T_CONDITION_LIMIT);
    double slack = rows->compares[n] != 0 ? get_f64(row + CW_T_CONDITION_HYSTERESIS) : 0.0;
    bool true_now;
    if (op == CW_OP_BAD)
        true_now = board->signals.quality[signal] == CW_QUALITY_BAD;
    else if (op == CW_OP_ABOVE)
        true_now = value > limit - slack;
    else
        true_now = value < limit + slack;
    if (true_now) {
        if (rows->compares[n] == 0)
            rows->since_us[n] = board->now_us;
        rows->compares[n] = 1;
        rows->last_us[n] = board->now_us;
        if (board->now_us - rows->since_us[n] >= get_u32(row + CW_T_CONDITION_ON_DELAY_US))
            rows->counts[n] = 1;
    } else {
        rows->compares[n] = 0;
        if (board->now_us - rows->last_us[n] >= get_u32(row + CW_T_CONDITION_OFF_DELAY_US))
            rows->counts[n] = 0;
    }
    return rows->counts[n] != 0;
}

/* Whether a condition that counted before its signal went bad still counts: for the row's
 * bad-delay, unless the signal was stuck, for then it never said it. */
static bool still_counts(const board_t *board, unsigned n, const uint8_t *row, const uint8_t *cause)
{
    uint8_t signal = row[CW_T_CONDITION_SIGNAL];
    return board->rows.counts[n] != 0 && board->signals.reason[signal] != CW_REASON_STUCK
           && board->now_us - board->signals.sample_us[signal]
                  <= get_u32(cause + CW_T_CAUSE_BAD_DELAY_US);
}

/* Whether the condition reads a signal that cannot be compared. */
static bool is_blind(const board_t *board, const uint8_t *row)
{
    return board->signals.quality[row[CW_T_CONDITION_SIGNAL]] == CW_QUALITY_BAD
           && row[CW_T_CONDITION_OP] != CW_OP_BAD;
}

/* M out of N: TRUE, or BLIND when it is reached only because signals are bad. */
static enum vote vote(board_t *board, const uint8_t *cause)
{
    unsigned first = cause[CW_T_CAUSE_FIRST_CONDITION], left = cause[CW_T_CAUSE_N_CONDITIONS];
    unsigned true_ones = 0, bad_ones = 0, end = first + left;
    for (unsigned n = first; n < end; n++) {
        const uint8_t *row = condition_row(&board->table, n);
        if (!is_blind(board, row))
            true_ones += condition_true(board, n, row) ? 1U : 0U;
        else if (row[CW_T_CONDITION_BAD] == CW_BAD_TRIP)
            bad_ones++;
        else if (still_counts(board, n, row, cause))
            true_ones++;
        else if (row[CW_T_CONDITION_BAD] == CW_BAD_DEGRADE)
            left--;
    }
    if (left == 0)
        return BLIND;
    unsigned needed = cause[CW_T_CAUSE_VOTES] < left ? cause[CW_T_CAUSE_VOTES] : left;
    if (true_ones >= needed)
        return TRUE;
    return true_ones + bad_ones >= needed ? BLIND : NO;
}

static bool is_valid(board_t *board, unsigned n, const uint8_t *cause)
{
    uint8_t signal = cause[CW_T_CAUSE_VALID_SIGNAL];
    if (signal == CW_NONE)
        return true;
    bool set = board->signals.value[signal] > 0.5;
    bool valid = set == (cause[CW_T_CAUSE_VALID_WHEN] == 1);
    board->rows.invalid[n] = valid ? 0 : 1;
    return valid;
}

/* Since when the vote is reached, and since when only because signals are bad. */
static void keep_time(board_t *board, unsigned n, enum vote reached)
{
    rows_t *rows = &board->rows;
    rows->raw[n] = (uint8_t)reached;
    if (reached == NO)
        rows->raw_us[n] = NEVER_US;
    else if (reached == TRUE && rows->raw_us[n] == NEVER_US)
        rows->raw_us[n] = board->now_us;
    if (reached != BLIND)
        rows->bad_us[n] = NEVER_US;
    else if (rows->bad_us[n] == NEVER_US)
        rows->bad_us[n] = board->now_us;
}

/* Whether the row stands now: its vote held for its delay, or is inside its off-delay. The delays
 * go on under a bypass: what has stood all the time acts when it ends. */
static bool timed(board_t *board, unsigned n, const uint8_t *cause, bool bypassed)
{
    rows_t *rows = &board->rows;
    us_t now_us = board->now_us;
    enum vote reached = vote(board, cause);
    if (!is_valid(board, n, cause))
        reached = NO;
    keep_time(board, n, reached);
    if (bypassed)
        return false;
    bool long_true = rows->raw_us[n] != NEVER_US
                     && now_us - rows->raw_us[n] >= get_u32(cause + CW_T_CAUSE_ON_DELAY_US);
    bool long_blind = reached == BLIND
                      && now_us - rows->bad_us[n] >= get_u32(cause + CW_T_CAUSE_BAD_DELAY_US);
    if (reached != NO && (rows->active[n] != 0 || long_true || long_blind)) {
        rows->active_us[n] = now_us;
        return true;
    }
    return rows->active[n] != 0
           && now_us - rows->active_us[n] < get_u32(cause + CW_T_CAUSE_OFF_DELAY_US);
}

/* The row's place in its first-out group: 0 is the first out of those that stand or are latched. */
static void enter_group(rows_t *rows, unsigned n, const uint8_t *cause)
{
    uint8_t group = cause[CW_T_CAUSE_GROUP];
    if (group == CW_NONE)
        return;
    if (rows->standing[group] == 0)
        rows->places[group] = 0;
    rows->place[n] = (uint8_t)rows->places[group];
    if (rows->places[group] < PLACE_MAX)
        rows->places[group]++;
    rows->standing[group]++;
}

/* The row neither stands nor is latched; its place stays till the group is empty. */
static void leave_group(rows_t *rows, const uint8_t *cause)
{
    if (cause[CW_T_CAUSE_GROUP] != CW_NONE)
        rows->standing[cause[CW_T_CAUSE_GROUP]]--;
}

static void begin(board_t *board, unsigned n, const uint8_t *cause)
{
    rows_t *rows = &board->rows;
    if (!in_force(rows, n))
        enter_group(rows, n, cause);
    rows->active[n] = 1;
    if (cause[CW_T_CAUSE_KIND] == CW_KIND_PROTECT)
        rows->latched[n] = 1;
    event_add(board, CW_EVENT_STANDS, n, rows->place[n], rows->raw[n]);
}

static void end(board_t *board, unsigned n, const uint8_t *cause)
{
    rows_t *rows = &board->rows;
    rows->active[n] = 0;
    event_add(board, CW_EVENT_CLEARED, n, rows->place[n], rows->latched[n]);
    if (rows->latched[n] == 0)
        leave_group(rows, cause);
}

static void note_bypass(board_t *board, unsigned n, bool bypassed)
{
    if (bypassed == has_bit(board->rows.bypassed, n))
        return;
    board->rows.bypassed ^= (uint16_t)(1U << n);
    event_add(board, bypassed ? CW_EVENT_BYPASS_BEGAN : CW_EVENT_BYPASS_ENDED, n,
              board->rows.place[n], 0);
}

void rows_evaluate(board_t *board, uint16_t bypassed)
{
    for (unsigned n = 0; n < board->table.n_causes; n++) {
        const uint8_t *cause = cause_row(&board->table, n);
        bool through = has_bit(bypassed, n);
        note_bypass(board, n, through);
        bool stands = timed(board, n, cause, through);
        if (stands && board->rows.active[n] == 0)
            begin(board, n, cause);
        else if (!stands && board->rows.active[n] != 0)
            end(board, n, cause);
    }
}

/* Adds a force to a channel; the declared winner of two holds. */
static void force(channel_t *channel, bool higher_wins, uint16_t value, bool protect)
{
    bool wins = higher_wins ? value > channel->force : value < channel->force;
    if (!channel->forced || wins)
        channel->force = value;
    channel->forced = true;
    channel->protect = channel->protect || protect;
}

void rows_force(board_t *board)
{
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        board->channels[n].forced = false;
        board->channels[n].protect = false;
    }
    for (unsigned n = 0; n < board->table.n_causes; n++) {
        const uint8_t *cause = cause_row(&board->table, n);
        unsigned first = cause[CW_T_CAUSE_FIRST_EFFECT];
        if (!in_force(&board->rows, n))
            continue;
        for (unsigned at = first; at < first + cause[CW_T_CAUSE_N_EFFECTS]; at++) {
            const uint8_t *effect = effect_row(&board->table, at);
            unsigned channel = effect[CW_T_EFFECT_CHANNEL];
            force(&board->channels[channel],
                  channel_row(&board->table, channel)[CW_T_CHANNEL_HIGHER_WINS] == 1,
                  get_u16(effect + CW_T_EFFECT_VALUE), cause[CW_T_CAUSE_KIND] == CW_KIND_PROTECT);
        }
    }
}

static bool acts_on(const board_t *board, const uint8_t *cause, unsigned channel)
{
    unsigned first = cause[CW_T_CAUSE_FIRST_EFFECT];
    for (unsigned at = first; at < first + cause[CW_T_CAUSE_N_EFFECTS]; at++)
        if (effect_row(&board->table, at)[CW_T_EFFECT_CHANNEL] == channel)
            return true;
    return false;
}

bool rows_protect(const board_t *board, unsigned channel)
{
    for (unsigned n = 0; n < board->table.n_causes; n++) {
        const uint8_t *cause = cause_row(&board->table, n);
        if (cause[CW_T_CAUSE_KIND] == CW_KIND_PROTECT && in_force(&board->rows, n)
            && acts_on(board, cause, channel))
            return true;
    }
    return false;
}

uint8_t row_reset(board_t *board, unsigned n)
{
    rows_t *rows = &board->rows;
    const uint8_t *cause = cause_row(&board->table, n);
    unsigned first = cause[CW_T_CAUSE_FIRST_CONDITION];
    if (rows->raw[n] != NO || rows->active[n] != 0)
        return CW_NAK_STANDS;
    for (unsigned at = first; at < first + cause[CW_T_CAUSE_N_CONDITIONS]; at++)
        if (is_blind(board, condition_row(&board->table, at)))
            return CW_NAK_BLIND;
    if (rows->latched[n] != 0) {
        rows->latched[n] = 0;
        leave_group(rows, cause);
        event_add(board, CW_EVENT_RESET, n, rows->place[n], 0);
    }
    return 0;
}

void row_latch(board_t *board, unsigned n)
{
    const uint8_t *cause = cause_row(&board->table, n);
    if (cause[CW_T_CAUSE_KIND] != CW_KIND_PROTECT)
        return;
    enter_group(&board->rows, n, cause);
    board->rows.latched[n] = 1;
}

uint8_t row_flags(const board_t *board, unsigned n)
{
    const rows_t *rows = &board->rows;
    unsigned flags = rows->active[n] != 0 ? CW_ROW_STANDS : 0U;
    flags |= rows->latched[n] != 0 ? CW_ROW_LATCHED : 0U;
    flags |= has_bit(rows->bypassed, n) ? CW_ROW_BYPASSED : 0U;
    flags |= rows->invalid[n] != 0 ? CW_ROW_NOT_VALID : 0U;
    return (uint8_t)flags;
}

uint16_t rows_latched(const board_t *board)
{
    unsigned mask = 0;
    for (unsigned n = 0; n < board->table.n_causes; n++)
        mask |= board->rows.latched[n] != 0 ? 1U << n : 0U;
    return (uint16_t)mask;
}

void rows_forget(board_t *board)
{
    rows_t *rows = &board->rows;
    memset(rows, 0, sizeof *rows);
    for (unsigned n = 0; n < CW_CAUSES_MAX; n++) {
        rows->raw_us[n] = NEVER_US;
        rows->bad_us[n] = NEVER_US;
        rows->place[n] = CW_NONE;
    }
}
