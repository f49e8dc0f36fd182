/* For benches and tests: what messages do, without their frames; the rows alone. */
#ifndef CELLWRIGHT_BENCH_H
#define CELLWRIGHT_BENCH_H

#include "board.h"

/* A table in pieces; the last call activates it and arms. All return 0 or a NAK code. */
uint8_t bench_load_begin(board_t *board, uint16_t size);
uint8_t bench_load_data(board_t *board, uint16_t offset, const uint8_t *bytes, size_t count);
uint8_t bench_load_end(board_t *board);

/* A signal as it stands, unjudged. */
void bench_signal(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason,
                  int64_t sample_us);

/* A sample as the host gives it in a BEAT, judged; 0 or a NAK code. */
uint8_t bench_give(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason,
                   int64_t sample_us, uint64_t now_us);

/* The request of this type with this payload, as if it came armed; 0 or a NAK code. */
uint8_t bench_request(board_t *board, uint8_t type, const uint8_t *payload, size_t size,
                      uint64_t now_us);

/* Bypasses exactly these rows in the scan at this time, whether they may be or not. */
void bench_bypass(board_t *board, uint16_t rows, uint64_t now_us);

/* Causes and effects once, on the signals as they stand, aged. */
void bench_scan(board_t *board, uint64_t now_us);

/* A row's flags, and its place | 0xFF if it never had one, in the next byte. */
uint16_t bench_row(const board_t *board, unsigned n);

/* What rows force on a channel; -1 nothing. */
int32_t bench_forced(const board_t *board, unsigned n);

#endif
