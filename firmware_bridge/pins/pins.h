/* The simulated terminal strip of the emulated boards (native process, QEMU): a second byte stream
 * on which a test or a plant sets the board's inputs and watches its outputs. Sans-IO: bytes and
 * the time they came at go in, bytes come out. Never part of a real board; the core knows nothing
 * of it.
 *
 * Frames as on the line (PROTOCOL.md, Line and frame), session 0. An answer carries the sequence of
 * its question, an OUT that nobody asked for carries 0.
 *
 *   0x60 SET       analog 4 x u16, digital u32
 *   0x61 OUT       time_us u64, changed_us u64, digital u8, pwm u16, resets u16
 *                  at each change of an output, and as the answer to GET and STEP. time_us: when
 *                  the outputs took these values; changed_us: when a raw input last changed
 *   0x62 GET       -
 *   0x63 HANG      -: stand still for ever with interrupts masked; no answer
 *   0x64 LOCKSTEP  1 u8: from now on, till the next reset, board time moves only by STEP
 *   0x65 STEP      now_us u64: one pass at this time
 *   0x66 LOAD      size u16, offset u16, bytes (1 to 200): a table, in order; the last bytes
 *                  activate it and arm
 *   0x67 SCAN      now_us u64, bypassed u16, n u8, n x row u8, count u8, count x (signal u8,
 *                  quality u8, reason u8, sample_us u64, value f64): at this time resets the rows
 *                  named, gives the signals, then runs all rows once; under LOCKSTEP only
 *   0x68 ROWS      (answer to SCAN) refused u16, n u8, n x (flags u8, place u8), m u8,
 *                  m x forced u16, k u8, k x (kind u8, index u8, place u8)
 *                  refused: bit n = the n-th reset was refused; place 255: never stood; forced
 *                  65535: free; then the events since the last ROWS, of those kept
 *   0x69 LOADED    (answer to LOAD) nak u8, 0 if well
 *   0x6A TELL      as SCAN, but runs nothing and has no answer: for more than one frame holds,
 *                  before its SCAN
 *   0x6B HEALTH    -
 *   0x6C FIT       (answer) overruns u32, longest_us u32, stack_free u16: passes left out since
 *                  boot; the longest pass; bytes of stack never used (0 where nobody counts them)
 */
#ifndef CELLWRIGHT_PINS_H
#define CELLWRIGHT_PINS_H

#include "board.h"
#include "frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    board_inputs_t inputs; /* what lies on the terminals */
    board_outputs_t shown; /* what the last OUT told */
    uint64_t changed_us;   /* when a raw input last changed */
    uint64_t outputs_us;   /* when the outputs took the values of `shown` */
    uint64_t step_us;      /* board time under LOCKSTEP */
    uint32_t overruns;     /* set by the main loop, told by FIT */
    uint32_t longest_us;   /* set by the main loop, told by FIT */
    uint16_t resets;       /* told by OUT: resets of this machine since its power came */
    uint16_t stack_free;   /* set by the main loop, told by FIT */
    uint32_t events;       /* the next event that ROWS tells */
    uint16_t refused;      /* resets refused since the last ROWS */
    bool lockstep;
    bool hangs;
    inbox_t inbox;
    outbox_t outbox;
} pins_t;

/* After a reset without a loss of power (resets > 0) the inputs stay as they are in `pins`. */
void pins_start(pins_t *pins, uint16_t resets);

/* Takes bytes that arrived at `now_us` up to the end of one frame and does what it says (a STEP
 * runs a pass of the board). Returns how many bytes it took: transmit, then call again with the
 * rest. */
size_t pins_receive(pins_t *pins, board_t *board, const uint8_t *bytes, size_t count,
                    uint64_t now_us);

/* The board's time: the machine's clock, or under LOCKSTEP the time of the last STEP. */
uint64_t pins_time(const pins_t *pins, uint64_t clock_us);

/* After each pass of the main loop, with the time read after it: an OUT if an output changed. */
void pins_passed(pins_t *pins, const board_t *board, uint64_t now_us);

/* Takes at most `room` bytes for the strip. */
size_t pins_transmit(pins_t *pins, uint8_t *bytes, size_t room);

/* LOAD, TELL and SCAN (scan.c): the rows of the core without its line, for the differential test.
 * True if the frame was one of them. */
bool pins_bench(pins_t *pins, board_t *board, const uint8_t *frame, size_t size);

#endif
