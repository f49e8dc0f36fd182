/* Pins and what the host says become signals: value, quality with its reason, sample time.
 *
 * As on the host (controller/field/sense.py): a bad sample never overwrites the last good value, it
 * only takes its quality away; a sample older than the good one held is no news; not finite is bad.
 */
#ifndef CELLWRIGHT_SIGNALS_H
#define CELLWRIGHT_SIGNALS_H

#include "state.h"

/* Takes the pins of one pass: median of three for analog, two equal passes for digital inputs. */
void pins_take(board_t *board, const board_inputs_t *inputs);

/* Whether every pin has been read often enough; before that no row is judged: not knowing yet,
 * right after a boot, may not stop heat or gas. */
bool pins_known(const board_t *board);

/* The board's own signals, from its pins. */
void signals_sense(board_t *board);

/* Every signal that grew too old is bad. */
void signals_age(board_t *board);

/* One sample that the host gives. */
void signal_give(board_t *board, unsigned n, double value, uint8_t quality, uint8_t reason,
                 us_t sample_us);

/* Nothing is known of any signal. */
void signals_forget(board_t *board);

#endif
