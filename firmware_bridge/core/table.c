#include "table.h"

enum { FINE = -1 };

/* The checks of one row: the offset in it of the first wrong byte, or FINE. */

static int signal_wrong(const table_t *t, const uint8_t *row)
{
    uint8_t source = row[CW_T_SIGNAL_SOURCE], number = row[CW_T_SIGNAL_NUMBER];
    if (source > CW_SOURCE_DIGITAL)
        return CW_T_SIGNAL_SOURCE;
    if (source == CW_SOURCE_ANALOG && number >= t->n_analog)
        return CW_T_SIGNAL_NUMBER;
    if (source == CW_SOURCE_DIGITAL && number >= t->n_digital)
        return CW_T_SIGNAL_NUMBER;
    return get_u16(row + CW_T_SIGNAL_ZERO) == 0 ? FINE : (int)CW_T_SIGNAL_ZERO;
}

static int condition_wrong(const table_t *t, const uint8_t *row)
{
    double slack = get_f64(row + CW_T_CONDITION_HYSTERESIS);
    if (row[CW_T_CONDITION_SIGNAL] >= t->n_signals)
        return CW_T_CONDITION_SIGNAL;
    if (row[CW_T_CONDITION_OP] > CW_OP_BAD)
        return CW_T_CONDITION_OP;
    if (row[CW_T_CONDITION_BAD] > CW_BAD_IGNORE)
        return CW_T_CONDITION_BAD;
    if (row[CW_T_CONDITION_ZERO] != 0)
        return CW_T_CONDITION_ZERO;
    if (!is_finite(get_f64(row + CW_T_CONDITION_LIMIT)))
        return CW_T_CONDITION_LIMIT;
    return is_finite(slack) && slack >= 0.0 ? FINE : (int)CW_T_CONDITION_HYSTERESIS;
}

/* Whether `count` rows from `first` on are not all among `all`. */
static bool beyond(uint8_t first, uint8_t count, uint8_t all)
{
    return first > all || count > all - first;
}

static int cause_wrong(const table_t *t, const uint8_t *row)
{
    uint8_t kind = row[CW_T_CAUSE_KIND], n = row[CW_T_CAUSE_N_CONDITIONS];
    uint8_t valid = row[CW_T_CAUSE_VALID_SIGNAL], group = row[CW_T_CAUSE_GROUP];
    if (kind != CW_KIND_INTERLOCK && kind != CW_KIND_PROTECT)
        return CW_T_CAUSE_KIND;
    if (row[CW_T_CAUSE_FIRST_CONDITION] > t->n_conditions)
        return CW_T_CAUSE_FIRST_CONDITION;
    if (n == 0 || beyond(row[CW_T_CAUSE_FIRST_CONDITION], n, t->n_conditions))
        return CW_T_CAUSE_N_CONDITIONS;
    if (row[CW_T_CAUSE_VOTES] == 0 || row[CW_T_CAUSE_VOTES] > n)
        return CW_T_CAUSE_VOTES;
    if (valid != CW_NONE && valid >= t->n_signals)
        return CW_T_CAUSE_VALID_SIGNAL;
    if (row[CW_T_CAUSE_VALID_WHEN] > 1)
        return CW_T_CAUSE_VALID_WHEN;
    if (row[CW_T_CAUSE_FIRST_EFFECT] > t->n_effects)
        return CW_T_CAUSE_FIRST_EFFECT;
    if (beyond(row[CW_T_CAUSE_FIRST_EFFECT], row[CW_T_CAUSE_N_EFFECTS], t->n_effects))
        return CW_T_CAUSE_N_EFFECTS;
    if (row[CW_T_CAUSE_BYPASSABLE] > 1)
        return CW_T_CAUSE_BYPASSABLE;
    if (group != CW_NONE && group >= t->n_groups)
        return CW_T_CAUSE_GROUP;
    return get_u16(row + CW_T_CAUSE_ZERO) == 0 ? FINE : (int)CW_T_CAUSE_ZERO;
}

static int effect_wrong(const table_t *t, const uint8_t *row)
{
    uint8_t channel = row[CW_T_EFFECT_CHANNEL];
    if (channel >= t->n_channels)
        return CW_T_EFFECT_CHANNEL;
    if (row[CW_T_EFFECT_ZERO] != 0)
        return CW_T_EFFECT_ZERO;
    return is_value(channel, get_u16(row + CW_T_EFFECT_VALUE)) ? FINE : (int)CW_T_EFFECT_VALUE;
}

static int channel_wrong(unsigned n, const uint8_t *row)
{
    uint8_t kind = n == CW_PWM_CHANNEL ? CW_CHANNEL_PWM : CW_CHANNEL_DIGITAL;
    if (row[CW_T_CHANNEL_KIND] != kind)
        return CW_T_CHANNEL_KIND;
    for (unsigned at = CW_T_CHANNEL_KEEP; at < CW_T_CHANNEL_ZERO; at++)
        if (row[at] > 1)
            return (int)at;
    if (row[CW_T_CHANNEL_ZERO] != 0)
        return CW_T_CHANNEL_ZERO;
    if (!is_value(n, get_u16(row + CW_T_CHANNEL_LAPSE)))
        return CW_T_CHANNEL_LAPSE;
    if (!is_value(n, get_u16(row + CW_T_CHANNEL_START)))
        return CW_T_CHANNEL_START;
    return get_u16(row + CW_T_CHANNEL_LEASE_MS_MAX) != 0 ? FINE : (int)CW_T_CHANNEL_LEASE_MS_MAX;
}

static int analog_wrong(const uint8_t *row)
{
    uint16_t low_raw = get_u16(row + CW_T_ANALOG_INPUT_LOW_RAW);
    if (low_raw > get_u16(row + CW_T_ANALOG_INPUT_HIGH_RAW))
        return CW_T_ANALOG_INPUT_HIGH_RAW;
    for (unsigned at = CW_T_ANALOG_INPUT_SCALE; at < CW_SIZEOF_T_ANALOG_INPUT; at += 8)
        if (!is_finite(get_f64(row + at)))
            return (int)at;
    double low = get_f64(row + CW_T_ANALOG_INPUT_LOW);
    return low <= get_f64(row + CW_T_ANALOG_INPUT_HIGH) ? FINE : (int)CW_T_ANALOG_INPUT_HIGH;
}

/* Counts and size: the offset of the first wrong byte of the header, or FINE. */
static int header_wrong(const uint8_t *head, size_t count)
{
    static const uint8_t most[8] = {
        CW_SIGNALS_MAX, CW_CONDITIONS_MAX, CW_CAUSES_MAX, CW_EFFECTS_MAX,
        CW_CHANNELS_MAX, CW_ANALOG_MAX, CW_DIGITAL_MAX, CW_GROUPS_MAX,
    };
    static const uint8_t bytes[8] = {
        CW_SIZEOF_T_SIGNAL, CW_SIZEOF_T_CONDITION, CW_SIZEOF_T_CAUSE, CW_SIZEOF_T_EFFECT,
        CW_SIZEOF_T_CHANNEL, CW_SIZEOF_T_ANALOG_INPUT, 0, 0,
    };
    size_t size = CW_SIZEOF_T_HEADER;
    if (count < CW_SIZEOF_T_HEADER || memcmp(head, CW_TABLE_MAGIC, CW_T_HEADER_N_SIGNALS) != 0)
        return CW_T_HEADER_MAGIC;
    for (unsigned n = 0; n < 8; n++) {
        uint8_t rows = head[CW_T_HEADER_N_SIGNALS + n];
        if (rows > most[n])
            return (int)(CW_T_HEADER_N_SIGNALS + n);
        size += (size_t)rows * bytes[n];
    }
    if (get_u16(head + CW_T_HEADER_SIZE) != size || size != count)
        return CW_T_HEADER_SIZE;
    return get_u16(head + CW_T_HEADER_ZERO) == 0 ? FINE : (int)CW_T_HEADER_ZERO;
}

static void lay_out(table_t *t, const uint8_t *bytes)
{
    t->n_signals = bytes[CW_T_HEADER_N_SIGNALS];
    t->n_conditions = bytes[CW_T_HEADER_N_CONDITIONS];
    t->n_causes = bytes[CW_T_HEADER_N_CAUSES];
    t->n_effects = bytes[CW_T_HEADER_N_EFFECTS];
    t->n_channels = bytes[CW_T_HEADER_N_CHANNELS];
    t->n_analog = bytes[CW_T_HEADER_N_ANALOG];
    t->n_digital = bytes[CW_T_HEADER_N_DIGITAL];
    t->n_groups = bytes[CW_T_HEADER_N_GROUPS];
    t->size = get_u16(bytes + CW_T_HEADER_SIZE);
    t->signals = bytes + CW_SIZEOF_T_HEADER;
    t->conditions = signal_row(t, t->n_signals);
    t->causes = condition_row(t, t->n_conditions);
    t->effects = cause_row(t, t->n_causes);
    t->channels = effect_row(t, t->n_effects);
    t->analog = channel_row(t, t->n_channels);
}

/* The first wrong byte of any row, or NULL. */
static const uint8_t *row_wrong(const table_t *t)
{
    int at;
    for (unsigned n = 0; n < t->n_signals; n++)
        if ((at = signal_wrong(t, signal_row(t, n))) != FINE)
            return signal_row(t, n) + at;
    for (unsigned n = 0; n < t->n_conditions; n++)
        if ((at = condition_wrong(t, condition_row(t, n))) != FINE)
            return condition_row(t, n) + at;
    for (unsigned n = 0; n < t->n_causes; n++)
        if ((at = cause_wrong(t, cause_row(t, n))) != FINE)
            return cause_row(t, n) + at;
    for (unsigned n = 0; n < t->n_effects; n++)
        if ((at = effect_wrong(t, effect_row(t, n))) != FINE)
            return effect_row(t, n) + at;
    for (unsigned n = 0; n < t->n_channels; n++)
        if ((at = channel_wrong(n, channel_row(t, n))) != FINE)
            return channel_row(t, n) + at;
    for (unsigned n = 0; n < t->n_analog; n++)
        if ((at = analog_wrong(analog_row(t, n))) != FINE)
            return analog_row(t, n) + at;
    return NULL;
}

void table_moved(table_t *table, const table_t *from, const uint8_t *bytes)
{
    *table = *from;
    lay_out(table, bytes);
}

bool table_read(table_t *table, const uint8_t *bytes, size_t count, uint16_t *wrong)
{
    int head = header_wrong(bytes, count);
    if (head != FINE) {
        *wrong = (uint16_t)head;
        return false;
    }
    lay_out(table, bytes);
    const uint8_t *row = row_wrong(table);
    *wrong = row == NULL ? 0 : (uint16_t)(row - bytes);
    return row == NULL;
}
