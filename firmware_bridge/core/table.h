/* The table: a view of its rows in the bytes as they were loaded, and whether they may run.
 *
 * Nothing is copied out of the bytes: what the digest names is what runs.
 */
#ifndef CELLWRIGHT_TABLE_H
#define CELLWRIGHT_TABLE_H

#include "bytes.h"
#include "protocol.h"

#include <stdbool.h>

/* The largest table there can be: every count at its limit. */
#define TABLE_BYTES_MAX                                                                            \
    (CW_SIZEOF_T_HEADER + CW_SIGNALS_MAX * CW_SIZEOF_T_SIGNAL                                      \
     + CW_CONDITIONS_MAX * CW_SIZEOF_T_CONDITION + CW_CAUSES_MAX * CW_SIZEOF_T_CAUSE               \
     + CW_EFFECTS_MAX * CW_SIZEOF_T_EFFECT + CW_CHANNELS_MAX * CW_SIZEOF_T_CHANNEL                 \
     + CW_ANALOG_MAX * CW_SIZEOF_T_ANALOG_INPUT)

typedef struct {
    const uint8_t *signals, *conditions, *causes, *effects, *channels, *analog;
    uint16_t size;
    uint8_t n_signals, n_conditions, n_causes, n_effects, n_channels, n_analog, n_digital, n_groups;
} table_t;

/* Fills the view and returns true if `count` bytes are one table whose every count, index and range
 * is right; else `wrong` is the offset of the first byte that is not. */
bool table_read(table_t *table, const uint8_t *bytes, size_t count, uint16_t *wrong);

/* The view of the same table where its bytes lie now. */
void table_moved(table_t *table, const table_t *from, const uint8_t *bytes);

/* Whether a channel can have this value: 0 or 1, or per mille. */
static inline bool is_value(unsigned channel, uint16_t value)
{
    return value <= (channel == CW_PWM_CHANNEL ? CW_PWM_MAX : 1U);
}

static inline const uint8_t *signal_row(const table_t *table, unsigned n)
{
    return table->signals + (size_t)n * CW_SIZEOF_T_SIGNAL;
}

static inline const uint8_t *condition_row(const table_t *table, unsigned n)
{
    return table->conditions + (size_t)n * CW_SIZEOF_T_CONDITION;
}

static inline const uint8_t *cause_row(const table_t *table, unsigned n)
{
    return table->causes + (size_t)n * CW_SIZEOF_T_CAUSE;
}

static inline const uint8_t *effect_row(const table_t *table, unsigned n)
{
    return table->effects + (size_t)n * CW_SIZEOF_T_EFFECT;
}

static inline const uint8_t *channel_row(const table_t *table, unsigned n)
{
    return table->channels + (size_t)n * CW_SIZEOF_T_CHANNEL;
}

static inline const uint8_t *analog_row(const table_t *table, unsigned n)
{
    return table->analog + (size_t)n * CW_SIZEOF_T_ANALOG_INPUT;
}

#endif
