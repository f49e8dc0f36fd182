/* The board as a process: its line on a PTY or a socket, its terminals on another, time from
 * CLOCK_MONOTONIC. One pass every CW_PASS_US; those left out while the machine was busy are
 * counted, never made good by a burst.
 *
 *   board --line pty|tcp:PORT --pins tcp:PORT|unix:PATH [--boot-id N] [--retained FILE]
 *
 * FILE stands for the RAM that outlives a reset: a process that is killed and started again with it
 * comes up as after a watchdog's reset. On HANG of the strip it stands still for WATCHDOG_MS with
 * its pins as they are, then is reset, as the hardware's watchdog would.
 */
#include "board.h"
#include "endpoint.h"
#include "image.h"
#include "pins.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { US_PER_S = 1000000, NS_PER_US = 1000, WATCHDOG_MS = 500 };

/* RAM that no start-up code clears. */
typedef struct {
    uint64_t magic;
    uint32_t boot_id, resets;
    board_retained_t board;
} past_t;

#define PAST_MAGIC UINT64_C(0x3154534150575743) /* CWWPAST1 */

typedef struct {
    endpoint_t line, strip;
    board_t board;
    pins_t pins;
    past_t *past;
    uint64_t booted_us, due_us;
} process_t;

static uint64_t machine_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
}

static uint64_t board_us(const process_t *process)
{
    return pins_time(&process->pins, machine_us() - process->booted_us);
}

static void boot(process_t *process, uint8_t reason)
{
    process->booted_us = machine_us();
    process->due_us = 0;
    pins_start(&process->pins, (uint16_t)process->past->resets);
    board_start(&process->board, 0, process->past->boot_id, reason, &process->past->board,
                image_digest());
}

static void watchdog(process_t *process)
{
    struct timespec rest = {0, WATCHDOG_MS * 1000000L};
    nanosleep(&rest, NULL);
    process->past->boot_id++;
    process->past->resets++;
    boot(process, CW_BOOT_WATCHDOG);
}

/* Memory for the past: of the file, or of this process; NULL if it cannot be had. */
static past_t *remember(const char *path)
{
    static past_t forgetful;
    if (path == NULL)
        return &forgetful;
    int handle = open(path, O_RDWR | O_CREAT, 0600);
    if (handle < 0 || ftruncate(handle, sizeof(past_t)) != 0)
        return NULL;
    void *found = mmap(NULL, sizeof(past_t), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    return found == MAP_FAILED ? NULL : found;
}

static uint8_t wake_up(past_t *past, const char *boot_id)
{
    bool known = past->magic == PAST_MAGIC;
    if (known) {
        past->boot_id++;
        past->resets++;
    } else {
        past->magic = PAST_MAGIC;
        past->resets = 0;
        if (getrandom(&past->boot_id, sizeof past->boot_id, 0) < 0)
            past->boot_id = (uint32_t)machine_us();
    }
    if (boot_id != NULL)
        past->boot_id = (uint32_t)strtoul(boot_id, NULL, 0);
    return known ? CW_BOOT_WATCHDOG : CW_BOOT_POWER_UP;
}

static size_t take_line(void *from, uint8_t *bytes, size_t room)
{
    return board_transmit(from, bytes, room);
}

static size_t take_strip(void *from, uint8_t *bytes, size_t room)
{
    return pins_transmit(from, bytes, room);
}

static void send_all(process_t *process)
{
    endpoint_send(&process->line, take_line, &process->board);
    endpoint_send(&process->strip, take_strip, &process->pins);
}

static void serve_line(process_t *process)
{
    uint8_t bytes[64];
    size_t count = endpoint_read(&process->line, bytes, sizeof bytes);
    board_receive(&process->board, bytes, count, board_us(process));
    send_all(process);
}

static void serve_strip(process_t *process)
{
    uint8_t bytes[512];
    size_t count = endpoint_read(&process->strip, bytes, sizeof bytes);
    for (size_t used = 0; used < count;) {
        used += pins_receive(&process->pins, &process->board, bytes + used, count - used,
                             board_us(process));
        send_all(process);
    }
    if (process->pins.hangs)
        watchdog(process);
}

/* One pass, if it is due. */
static void pass(process_t *process)
{
    uint64_t now_us = machine_us() - process->booted_us;
    if (process->pins.lockstep || now_us < process->due_us)
        return;
    uint64_t missed = (now_us - process->due_us) / CW_PASS_US;
    process->pins.overruns += (uint32_t)missed;
    process->due_us += (missed + 1) * CW_PASS_US;
    board_pass(&process->board, &process->pins.inputs, now_us);
    (void)board_fed(&process->board); /* this machine has no watchdog to feed */
    pins_passed(&process->pins, &process->board, board_us(process));
    send_all(process);
}

/* Until something comes or the next pass is due. */
static void rest(const process_t *process)
{
    const int handles[] = {process->line.listener, process->line.peer, process->strip.listener,
                           process->strip.peer};
    struct pollfd polled[4];
    for (unsigned n = 0; n < 4; n++)
        polled[n] = (struct pollfd){.fd = handles[n], .events = POLLIN};
    uint64_t now_us = machine_us() - process->booted_us;
    uint64_t left_us = now_us < process->due_us ? process->due_us - now_us : 0;
    if (process->pins.lockstep)
        left_us = US_PER_S / 100;
    struct timespec left = {0, (long)left_us * NS_PER_US};
    ppoll(polled, 4, &left, NULL);
}

static int fail(const char *what)
{
    fprintf(stderr, "board: %s: %s\n", what, strerror(errno));
    return 2;
}

int main(int count, char **words)
{
    static process_t process;
    const char *line = NULL, *strip = NULL, *boot_id = NULL, *retained = NULL;
    for (int n = 1; n + 1 < count; n += 2) {
        if (strcmp(words[n], "--line") == 0)
            line = words[n + 1];
        else if (strcmp(words[n], "--pins") == 0)
            strip = words[n + 1];
        else if (strcmp(words[n], "--boot-id") == 0)
            boot_id = words[n + 1];
        else if (strcmp(words[n], "--retained") == 0)
            retained = words[n + 1];
    }
    if (line == NULL || strip == NULL || count % 2 == 0) {
        errno = EINVAL;
        return fail("--line pty|tcp:PORT --pins tcp:PORT|unix:PATH [--boot-id N] [--retained F]");
    }
    if (!endpoint_open(&process.line, line))
        return fail(line);
    if (!endpoint_open(&process.strip, strip))
        return fail(strip);
    process.past = remember(retained);
    if (process.past == NULL)
        return fail(retained);
    boot(&process, wake_up(process.past, boot_id));
    printf("{\"line\": \"%s\", \"pins\": \"%s\"}\n", process.line.name, process.strip.name);
    fflush(stdout);
    for (;;) {
        rest(&process);
        endpoint_accept(&process.line);
        endpoint_accept(&process.strip);
        serve_line(&process);
        serve_strip(&process);
        pass(&process);
    }
}
