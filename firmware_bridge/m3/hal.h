/* The Cortex-M3 machine under the core: clock, alarm, two UARTs, watchdog. Everything else is the
 * core's. */
#ifndef CELLWRIGHT_HAL_H
#define CELLWRIGHT_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAL_STACK_PAINT 0xC5C5C5C5U /* what the unused stack holds */

typedef enum { HAL_LINE = 0, HAL_STRIP = 1 } hal_uart_t;
typedef enum { HAL_CAUSE_UNTOLD, HAL_CAUSE_POWER, HAL_CAUSE_WATCHDOG, HAL_CAUSE_OTHER } hal_cause_t;

/* Starts the clocks, both UARTs (115,200 8N1) and the watchdog (0.5 s to its interrupt, reset at
 * the second). */
void hal_start(void);

/* Why the machine was reset, as its hardware says it; HAL_CAUSE_UNTOLD if it does not (QEMU).
 * Clears it. */
hal_cause_t hal_reset_cause(void);

/* Microseconds since hal_start(); never wraps, never goes back. */
uint64_t hal_clock_us(void);

/* Sleeps until `until_us` or until a frame ended on a UART (or too much came without an end). */
void hal_sleep(uint64_t until_us);

/* Takes bytes that came in; when the last frame ended stands in `arrived_us`. */
size_t hal_take(hal_uart_t uart, uint8_t *bytes, size_t room, uint64_t *arrived_us);

/* Whether the UART takes another byte now; gives it one. */
bool hal_has_room(hal_uart_t uart);
void hal_put(hal_uart_t uart, uint8_t byte);

void hal_feed_watchdog(void);

/* Stands still with interrupts masked, until the watchdog resets the machine. */
_Noreturn void hal_hang(void);

/* Bytes of the stack that were never used. */
size_t hal_stack_free(void);

#endif
