/* The Cortex-M3 board: one pass of the core every CW_PASS_US at absolute times, the line and the
 * strip between them. A pass that comes late is not made good by a burst: what was left out is
 * counted. */
#include "board.h"
#include "crc32.h"
#include "hal.h"
#include "pins.h"
#include "protocol.h"
#include "state.h"

#include <stddef.h>
#include <stdint.h>

#define PAST_MAGIC 0x43575031U /* "CWP1" */
#define NOT_INITIALISED __attribute__((section(".noinit")))

enum { CHUNK = 32 };

/* What this machine remembers over a reset. Believed only if its check is right: RAM holds anything
 * at power-up. */
typedef struct {
    uint32_t magic;
    uint32_t boot_id;
    uint32_t resets;
    uint32_t check;
} past_t;

/* The digest of this image; the build writes it into the linked file after the marker. */
typedef struct {
    char marker[16];
    uint8_t digest[32];
} slot_t;

__attribute__((section(".image"), used)) static const volatile slot_t slot = {
    .marker = {'C', 'E', 'L', 'L', 'W', 'R', 'I', 'G', 'H', 'T', '-', 'I', 'M', 'A', 'G', 'E'},
};

static board_t board;
/* Not initialised either: what lies on the terminals outlives a reset. */
static pins_t pins __attribute__((section(".strip")));
static past_t past NOT_INITIALISED;
static board_retained_t retained NOT_INITIALISED;

static uint32_t past_check(void)
{
    return crc32_of((const uint8_t *)&past, offsetof(past_t, check));
}

/* The reset reason; moves `past` on. A reset whose cause the hardware does not tell (QEMU) and that
 * left the RAM as it was is taken for the watchdog's: nothing else here resets without cutting the
 * power. A boot id is the last one plus one; without a past it comes from what the RAM held at
 * power-up (2^32 values if that is random). */
static uint8_t remember(uint32_t noise)
{
    const hal_cause_t cause = hal_reset_cause();
    const bool known = past.magic == PAST_MAGIC && past.check == past_check();
    uint8_t reason = CW_BOOT_POWER_UP;
    if (known) {
        past.boot_id++;
        if (cause == HAL_CAUSE_WATCHDOG || cause == HAL_CAUSE_UNTOLD) {
            reason = CW_BOOT_WATCHDOG;
        } else if (cause == HAL_CAUSE_OTHER) {
            reason = CW_BOOT_OTHER;
        }
    } else {
        past.magic = PAST_MAGIC;
        past.boot_id = noise;
        /* A second reset may tear this record; where the machine tells its cause, that counts. The
         * retained record has a check of its own. */
        if (cause == HAL_CAUSE_WATCHDOG) {
            reason = CW_BOOT_WATCHDOG;
        }
    }
    past.resets = known && reason != CW_BOOT_POWER_UP ? past.resets + 1U : 0U;
    past.check = past_check();
    return reason;
}

/* Bytes on their way into a UART: taken from the core in small pieces, as it moves its queue up
 * each time. */
typedef struct {
    uint8_t bytes[CHUNK];
    uint8_t at;
    uint8_t count;
} outlet_t;

static outlet_t outlets[2];

static bool refill(hal_uart_t uart, outlet_t *outlet)
{
    outlet->at = 0;
    outlet->count = (uint8_t)(uart == HAL_LINE ? board_transmit(&board, outlet->bytes, CHUNK)
                                               : pins_transmit(&pins, outlet->bytes, CHUNK));
    return outlet->count > 0;
}

static void send(hal_uart_t uart)
{
    outlet_t *outlet = &outlets[uart];
    while (hal_has_room(uart)) {
        if (outlet->at == outlet->count && !refill(uart, outlet)) {
            return;
        }
        hal_put(uart, outlet->bytes[outlet->at++]);
    }
}

static void send_all(void)
{
    send(HAL_LINE);
    send(HAL_STRIP);
}

static void serve_line(void)
{
    uint8_t bytes[CHUNK];
    uint64_t arrived_us;
    for (size_t count; (count = hal_take(HAL_LINE, bytes, sizeof bytes, &arrived_us)) > 0;) {
        board_receive(&board, bytes, count, pins_time(&pins, hal_clock_us()));
        send_all();
    }
}

static void serve_strip(void)
{
    uint8_t bytes[CHUNK];
    uint64_t arrived_us;
    for (size_t count; (count = hal_take(HAL_STRIP, bytes, sizeof bytes, &arrived_us)) > 0;) {
        pins.stack_free = (uint16_t)hal_stack_free();
        for (size_t used = 0; used < count;) {
            used += pins_receive(&pins, &board, bytes + used, count - used, arrived_us);
            send_all();
        }
    }
    if (pins.hangs) {
        hal_hang();
    }
}

/* One pass at its time; returns when the next one is due. */
static uint64_t pass(uint64_t due_us)
{
    const uint64_t began_us = hal_clock_us();
    board_pass(&board, &pins.inputs, began_us);
    const uint64_t done_us = hal_clock_us();
    if (done_us - began_us > pins.longest_us) {
        pins.longest_us = (uint32_t)(done_us - began_us);
    }
    pins_passed(&pins, &board, done_us);
    if (board_fed(&board)) {
        hal_feed_watchdog();
    }
    due_us += CW_PASS_US;
    if (done_us >= due_us) {
        const uint32_t missed = (uint32_t)(done_us - due_us) / CW_PASS_US + 1U;
        pins.overruns += missed;
        due_us += (uint64_t)missed * CW_PASS_US;
    }
    return due_us;
}

_Noreturn void m3_main(uint32_t noise);

_Noreturn void m3_main(uint32_t noise)
{
    hal_start();
    const uint8_t reason = remember(noise);
    uint8_t digest[sizeof slot.digest];
    for (size_t k = 0; k < sizeof digest; k++) {
        digest[k] = slot.digest[k];
    }
    uint64_t due_us = hal_clock_us();
    board_start(&board, due_us, past.boot_id, reason, &retained, digest);
    pins_start(&pins, (uint16_t)past.resets);
    pins_passed(&pins, &board, due_us);
    for (;;) {
        send_all();
        serve_line();
        serve_strip();
        if (pins.lockstep) {
            hal_feed_watchdog(); /* the tester's time stands still; real time does not */
            due_us = hal_clock_us() + CW_PASS_US;
        } else if (hal_clock_us() >= due_us) {
            due_us = pass(due_us);
        }
        hal_sleep(due_us);
    }
}
