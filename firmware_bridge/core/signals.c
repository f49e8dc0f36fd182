#include "signals.h"

enum { MEDIAN_OF = 3 };

static uint16_t median(uint16_t a, uint16_t b, uint16_t c)
{
    uint16_t low = a < b ? a : b, high = a < b ? b : a;
    if (c < low)
        return low;
    return c < high ? c : high;
}

/* One analog input in its unit. A broken wire is the device's fault, all else out of range. */
static void convert(board_t *board, unsigned n)
{
    pins_in_t *pins = &board->pins;
    const uint8_t *row = analog_row(&board->table, n);
    uint16_t raw = median(pins->raw[0][n], pins->raw[1][n], pins->raw[2][n]);
    double value = raw * get_f64(row + CW_T_ANALOG_INPUT_SCALE);
    value += get_f64(row + CW_T_ANALOG_INPUT_OFFSET);
    uint8_t reason = CW_REASON_NONE;
    if (raw < get_u16(row + CW_T_ANALOG_INPUT_LOW_RAW)
             || raw > get_u16(row + CW_T_ANALOG_INPUT_HIGH_RAW))
        reason = CW_REASON_DEVICE;
    else if (value < get_f64(row + CW_T_ANALOG_INPUT_LOW)
             || value > get_f64(row + CW_T_ANALOG_INPUT_HIGH))
        reason = CW_REASON_OUT_OF_RANGE;
    pins->value[n] = value;
    pins->reason[n] = reason;
    pins->quality[n] = reason == CW_REASON_NONE ? CW_QUALITY_GOOD : CW_QUALITY_BAD;
}

void pins_take(board_t *board, const board_inputs_t *inputs)
{
    pins_in_t *pins = &board->pins;
    memmove(pins->raw[1], pins->raw[0], 2 * sizeof pins->raw[0]);
    memcpy(pins->raw[0], inputs->analog, sizeof pins->raw[0]);
    uint32_t unsteady = pins->before ^ inputs->digital;
    if (pins->passes > 0)
        pins->digital = (pins->digital & unsteady) | (inputs->digital & ~unsteady);
    pins->before = inputs->digital;
    if (pins->passes < MEDIAN_OF)
        pins->passes++;
}

bool pins_known(const board_t *board)
{
    return board->pins.passes == MEDIAN_OF;
}

static void take_own(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason)
{
    signals_t *signals = &board->signals;
    if (quality != CW_QUALITY_BAD) {
        signals->value[n] = value;
        signals->sample_us[n] = board->now_us;
    }
    signals->quality[n] = quality;
    signals->reason[n] = reason;
}

void signals_sense(board_t *board)
{
    const pins_in_t *pins = &board->pins;
    for (unsigned n = 0; n < board->table.n_analog; n++)
        convert(board, n);
    for (unsigned n = 0; n < board->table.n_signals; n++) {
        const uint8_t *row = signal_row(&board->table, n);
        unsigned number = row[CW_T_SIGNAL_NUMBER];
        if (row[CW_T_SIGNAL_SOURCE] == CW_SOURCE_ANALOG)
            take_own(board, n, pins->value[number], pins->quality[number], pins->reason[number]);
        else if (row[CW_T_SIGNAL_SOURCE] == CW_SOURCE_DIGITAL)
            take_own(board, n, has_bit(pins->digital, number) ? 1.0 : 0.0, CW_QUALITY_GOOD,
                     CW_REASON_NONE);
    }
}

void signals_age(board_t *board)
{
    signals_t *signals = &board->signals;
    for (unsigned n = 0; n < board->table.n_signals; n++) {
        us_t max_age_us = get_u32(signal_row(&board->table, n) + CW_T_SIGNAL_MAX_AGE_US);
        if (signals->quality[n] != CW_QUALITY_BAD
            && board->now_us - signals->sample_us[n] > max_age_us) {
            signals->quality[n] = CW_QUALITY_BAD;
            signals->reason[n] = CW_REASON_TOO_OLD;
        }
    }
}

void signal_give(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason,
                 us_t sample_us)
{
    signals_t *signals = &board->signals;
    us_t max_age_us = get_u32(signal_row(&board->table, n) + CW_T_SIGNAL_MAX_AGE_US);
    if (quality != CW_QUALITY_BAD) {
        if (board->now_us - sample_us > max_age_us) {
            quality = CW_QUALITY_BAD;
            reason = CW_REASON_TOO_OLD;
        } else if (!is_finite(value)) {
            quality = CW_QUALITY_BAD;
            reason = CW_REASON_NOT_FINITE;
        } else if (signals->quality[n] != CW_QUALITY_BAD && sample_us < signals->sample_us[n]) {
            return;
        } else {
            signals->value[n] = value;
            signals->sample_us[n] = sample_us;
        }
    }
    signals->quality[n] = quality;
    signals->reason[n] = reason;
}

void signals_forget(board_t *board)
{
    signals_t *signals = &board->signals;
    for (unsigned n = 0; n < CW_SIGNALS_MAX; n++) {
        signals->value[n] = 0.0;
        signals->sample_us[n] = board->now_us;
        signals->quality[n] = CW_QUALITY_BAD;
        signals->reason[n] = CW_REASON_NEVER_READ;
    }
    memset(board->pins.quality, CW_QUALITY_BAD, sizeof board->pins.quality);
}
