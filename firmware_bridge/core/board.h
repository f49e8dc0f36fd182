/* The I/O board, whole: what a build (native process, shared library, Cortex-M3 image) calls.
 *
 * Sans-IO. Bytes, pins and the time go in; bytes and what the pins do come out. No heap, no
 * globals: all that is known stands in a board_t, but for what must survive a reset of the
 * processor, which stands in a board_retained_t, in memory that no start-up code clears. Times are
 * microseconds since this boot and never go back. PROTOCOL.md says what everything means.
 *
 * A build's main loop, for ever: board_receive with what came (also with nothing), board_pass every
 * CW_PASS_US, board_outputs to the pins, board_transmit, and if board_fed the watchdog.
 */
#ifndef CELLWRIGHT_BOARD_H
#define CELLWRIGHT_BOARD_H

#include "table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint16_t analog[CW_ANALOG_MAX]; /* counts of the converter */
    uint32_t digital;               /* bit n = input n */
} board_inputs_t;

typedef struct {
    uint8_t digital; /* bit n = channel n */
    uint16_t pwm;    /* per mille */
} board_outputs_t;

/* What channels do and which rows are latched; twice: one is whole while the other is written. */
typedef struct {
    uint32_t number; /* the higher one is the newer */
    uint16_t latched_rows;
    uint16_t values[CW_CHANNELS_MAX];
    uint16_t zero;
    uint32_t crc;
} kept_t;

typedef struct {
    kept_t kept[2];
    uint8_t digest[32];              /* of the table */
    uint8_t table[TABLE_BYTES_MAX];  /* the active one */
} board_retained_t;

typedef struct board board_t;

/* Bytes of a board_t, for those who do not see its definition (state.h). */
size_t board_bytes(void);

/* Boots. `retained` is believed only if its CRC and its table's digest are right and `reset_reason`
 * (enum cw_reset_reason) is not a power-up; `image` is the SHA-256 of the running image. */
void board_start(board_t *board, uint64_t now_us, uint32_t boot_id, uint8_t reset_reason,
                 board_retained_t *retained, const uint8_t image[32]);

/* Takes bytes from the line in any pieces and answers whole frames. */
void board_receive(board_t *board, const uint8_t *bytes, size_t count, uint64_t now_us);

/* Inputs -> signals -> rows -> leases -> outputs -> STATUS. */
void board_pass(board_t *board, const board_inputs_t *inputs, uint64_t now_us);

/* Takes at most `room` bytes for the line. */
size_t board_transmit(board_t *board, uint8_t *bytes, size_t room);

/* What the output pins must do now; also before the first pass. */
void board_outputs(const board_t *board, board_outputs_t *outputs);

/* True once after a pass that looked at every lease, if since the last time the main loop also came
 * round to the line (board_receive or board_transmit). */
bool board_fed(board_t *board);

#endif
