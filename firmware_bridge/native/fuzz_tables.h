/* Random numbers from a seed, and random tables that may run. For native/fuzz.c. */
#ifndef CELLWRIGHT_FUZZ_TABLES_H
#define CELLWRIGHT_FUZZ_TABLES_H

#include "table.h"

typedef struct {
    uint64_t state;
} dice_t;

/* 0 to sides - 1. */
uint32_t throw_dice(dice_t *dice, uint32_t sides);

/* True in so many of a hundred throws. */
bool in_percent(dice_t *dice, uint32_t percent);

/* A number that is often on a limit, sometimes none. */
double throw_value(dice_t *dice);

/* Writes a table that may run; its size. */
size_t throw_table(dice_t *dice, uint8_t bytes[TABLE_BYTES_MAX]);

#endif
