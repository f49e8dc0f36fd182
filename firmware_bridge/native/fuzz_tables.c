#include "fuzz_tables.h"

#include <math.h>

/* xorshift64*: Marsaglia, Journal of Statistical Software 8 (2003) 14; Vigna, 2016. */
uint32_t throw_dice(dice_t *dice, uint32_t sides)
{
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    uint64_t high = dice->state * UINT64_C(0x2545F4914F6CDD1D) >> 32;
    return (uint32_t)(high * sides >> 32);
}

bool in_percent(dice_t *dice, uint32_t percent)
{
    return throw_dice(dice, 100) < percent;
}

double throw_value(dice_t *dice)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, -0.0, 1e-310, 1.7e308};
    if (in_percent(dice, 4))
        return odd[throw_dice(dice, 6)];
    return (double)throw_dice(dice, 9) * 0.5 - 2.0;
}

static uint32_t throw_delay_us(dice_t *dice)
{
    return in_percent(dice, 50) ? 0U : throw_dice(dice, 5) * 700U;
}

static uint16_t throw_output(dice_t *dice, unsigned channel)
{
    return (uint16_t)throw_dice(dice, channel == CW_PWM_CHANNEL ? CW_PWM_MAX + 1U : 2U);
}

static void throw_signal(dice_t *dice, const uint8_t *head, uint8_t *row)
{
    uint8_t source = (uint8_t)throw_dice(dice, 3);
    if (source == CW_SOURCE_ANALOG && head[CW_T_HEADER_N_ANALOG] == 0)
        source = CW_SOURCE_HOST;
    if (source == CW_SOURCE_DIGITAL && head[CW_T_HEADER_N_DIGITAL] == 0)
        source = CW_SOURCE_HOST;
    row[CW_T_SIGNAL_SOURCE] = source;
    if (source == CW_SOURCE_ANALOG)
        row[CW_T_SIGNAL_NUMBER] = (uint8_t)throw_dice(dice, head[CW_T_HEADER_N_ANALOG]);
    if (source == CW_SOURCE_DIGITAL)
        row[CW_T_SIGNAL_NUMBER] = (uint8_t)throw_dice(dice, head[CW_T_HEADER_N_DIGITAL]);
    put_u32(row + CW_T_SIGNAL_MAX_AGE_US, in_percent(dice, 50) ? 2000000U : 5000U);
}

static void throw_condition(dice_t *dice, const uint8_t *head, uint8_t *row)
{
    row[CW_T_CONDITION_SIGNAL] = (uint8_t)throw_dice(dice, head[CW_T_HEADER_N_SIGNALS]);
    row[CW_T_CONDITION_OP] = (uint8_t)(in_percent(dice, 15) ? CW_OP_BAD : throw_dice(dice, 2));
    row[CW_T_CONDITION_BAD] = (uint8_t)throw_dice(dice, 3);
    put_u32(row + CW_T_CONDITION_ON_DELAY_US, throw_delay_us(dice));
    put_u32(row + CW_T_CONDITION_OFF_DELAY_US, throw_delay_us(dice));
    put_f64(row + CW_T_CONDITION_LIMIT, (double)throw_dice(dice, 5) * 0.5 - 1.0);
    put_f64(row + CW_T_CONDITION_HYSTERESIS, (double)throw_dice(dice, 3) * 0.5);
}

static void throw_cause(dice_t *dice, const uint8_t *head, uint8_t *row)
{
    uint8_t conditions = head[CW_T_HEADER_N_CONDITIONS], effects = head[CW_T_HEADER_N_EFFECTS];
    uint8_t first = (uint8_t)throw_dice(dice, conditions);
    uint8_t most = (uint8_t)(conditions - first < 3 ? conditions - first : 3);
    uint8_t count = (uint8_t)(1 + throw_dice(dice, most));
    uint8_t act = (uint8_t)throw_dice(dice, effects + 1U);
    row[CW_T_CAUSE_KIND] = (uint8_t)(CW_KIND_INTERLOCK + throw_dice(dice, 2));
    row[CW_T_CAUSE_FIRST_CONDITION] = first;
    row[CW_T_CAUSE_N_CONDITIONS] = count;
    row[CW_T_CAUSE_VOTES] = (uint8_t)(1 + throw_dice(dice, count));
    put_u32(row + CW_T_CAUSE_ON_DELAY_US, throw_delay_us(dice));
    put_u32(row + CW_T_CAUSE_BAD_DELAY_US, throw_delay_us(dice));
    put_u32(row + CW_T_CAUSE_OFF_DELAY_US, throw_delay_us(dice));
    bool always = in_percent(dice, 70);
    row[CW_T_CAUSE_VALID_SIGNAL] =
        (uint8_t)(always ? CW_NONE : throw_dice(dice, head[CW_T_HEADER_N_SIGNALS]));
    row[CW_T_CAUSE_VALID_WHEN] = (uint8_t)throw_dice(dice, 2);
    row[CW_T_CAUSE_FIRST_EFFECT] = act;
    row[CW_T_CAUSE_N_EFFECTS] =
        (uint8_t)throw_dice(dice, (effects - act < 3 ? effects - act : 3) + 1U);
    row[CW_T_CAUSE_BYPASSABLE] = (uint8_t)throw_dice(dice, 2);
    row[CW_T_CAUSE_GROUP] =
        (uint8_t)(head[CW_T_HEADER_N_GROUPS] == 0 || in_percent(dice, 30)
                      ? CW_NONE : throw_dice(dice, head[CW_T_HEADER_N_GROUPS]));
}

static void throw_channel(dice_t *dice, unsigned n, uint8_t *row)
{
    row[CW_T_CHANNEL_KIND] = n == CW_PWM_CHANNEL ? CW_CHANNEL_PWM : CW_CHANNEL_DIGITAL;
    for (unsigned at = CW_T_CHANNEL_KEEP; at < CW_T_CHANNEL_ZERO; at++)
        row[at] = (uint8_t)throw_dice(dice, 2);
    put_u16(row + CW_T_CHANNEL_LAPSE, throw_output(dice, n));
    put_u16(row + CW_T_CHANNEL_START, throw_output(dice, n));
    put_u16(row + CW_T_CHANNEL_LEASE_MS_MAX, (uint16_t)(1 + throw_dice(dice, 20)));
}

static void throw_analog(dice_t *dice, uint8_t *row)
{
    put_u16(row + CW_T_ANALOG_INPUT_LOW_RAW, (uint16_t)throw_dice(dice, 500));
    put_u16(row + CW_T_ANALOG_INPUT_HIGH_RAW, (uint16_t)(500 + throw_dice(dice, 4000)));
    put_f64(row + CW_T_ANALOG_INPUT_SCALE, 0.001 * throw_dice(dice, 4));
    put_f64(row + CW_T_ANALOG_INPUT_OFFSET, -1.0);
    put_f64(row + CW_T_ANALOG_INPUT_LOW, (double)throw_dice(dice, 3) - 1.0);
    put_f64(row + CW_T_ANALOG_INPUT_HIGH, 2.0 + throw_dice(dice, 4));
}

size_t throw_table(dice_t *dice, uint8_t bytes[TABLE_BYTES_MAX])
{
    uint8_t *row = bytes + CW_SIZEOF_T_HEADER;
    memset(bytes, 0, TABLE_BYTES_MAX);
    memcpy(bytes, CW_TABLE_MAGIC, 4);
    bytes[CW_T_HEADER_N_SIGNALS] = (uint8_t)(1 + throw_dice(dice, CW_SIGNALS_MAX));
    bytes[CW_T_HEADER_N_CONDITIONS] = (uint8_t)(1 + throw_dice(dice, CW_CONDITIONS_MAX));
    bytes[CW_T_HEADER_N_CAUSES] = (uint8_t)throw_dice(dice, CW_CAUSES_MAX + 1U);
    bytes[CW_T_HEADER_N_CHANNELS] = (uint8_t)(1 + throw_dice(dice, CW_CHANNELS_MAX));
    bytes[CW_T_HEADER_N_EFFECTS] = (uint8_t)throw_dice(dice, CW_EFFECTS_MAX + 1U);
    bytes[CW_T_HEADER_N_ANALOG] = (uint8_t)throw_dice(dice, CW_ANALOG_MAX + 1U);
    bytes[CW_T_HEADER_N_DIGITAL] = (uint8_t)throw_dice(dice, CW_DIGITAL_MAX + 1U);
    bytes[CW_T_HEADER_N_GROUPS] = (uint8_t)throw_dice(dice, CW_GROUPS_MAX + 1U);
    for (unsigned n = 0; n < bytes[CW_T_HEADER_N_SIGNALS]; n++, row += CW_SIZEOF_T_SIGNAL)
        throw_signal(dice, bytes, row);
    for (unsigned n = 0; n < bytes[CW_T_HEADER_N_CONDITIONS]; n++, row += CW_SIZEOF_T_CONDITION)
        throw_condition(dice, bytes, row);
    for (unsigned n = 0; n < bytes[CW_T_HEADER_N_CAUSES]; n++, row += CW_SIZEOF_T_CAUSE)
        throw_cause(dice, bytes, row);
    for (unsigned n = 0; n < bytes[CW_T_HEADER_N_EFFECTS]; n++, row += CW_SIZEOF_T_EFFECT) {
        uint8_t channel = (uint8_t)throw_dice(dice, bytes[CW_T_HEADER_N_CHANNELS]);
        row[CW_T_EFFECT_CHANNEL] = channel;
        put_u16(row + CW_T_EFFECT_VALUE, throw_output(dice, channel));
    }
    for (unsigned n = 0; n < bytes[CW_T_HEADER_N_CHANNELS]; n++, row += CW_SIZEOF_T_CHANNEL)
        throw_channel(dice, n, row);
    for (unsigned n = 0; n < bytes[CW_T_HEADER_N_ANALOG]; n++, row += CW_SIZEOF_T_ANALOG_INPUT)
        throw_analog(dice, row);
    put_u16(bytes + CW_T_HEADER_SIZE, (uint16_t)(row - bytes));
    return (size_t)(row - bytes);
}
