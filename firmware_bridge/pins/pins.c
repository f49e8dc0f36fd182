#include "pins.h"

#include "bytes.h"

#include <string.h>

enum {
    SET = 0x60, OUT = 0x61, GET = 0x62, HANG = 0x63, LOCKSTEP = 0x64, STEP = 0x65,
    HEALTH = 0x6B, FIT = 0x6C,
    SET_SIZE = 12, OUT_SIZE = 21, STEP_SIZE = 8, FIT_SIZE = 10,
};

void pins_start(pins_t *pins, uint16_t resets)
{
    const board_inputs_t lying = pins->inputs;
    memset(pins, 0, sizeof *pins);
    if (resets > 0)
        pins->inputs = lying;
    pins->resets = resets;
    pins->shown.pwm = UINT16_MAX; /* no output has it: the first pass shows whatever there is */
}

uint64_t pins_time(const pins_t *pins, uint64_t clock_us)
{
    return pins->lockstep ? pins->step_us : clock_us;
}

static void show(pins_t *pins, uint16_t sequence)
{
    uint8_t *at = outbox_begin(&pins->outbox, OUT_SIZE);
    if (at == NULL)
        return; /* nobody reads: GET tells the state again */
    put_u64(at, pins->outputs_us);
    put_u64(at + 8, pins->changed_us);
    at[16] = pins->shown.digital;
    put_u16(at + 17, pins->shown.pwm);
    put_u16(at + 19, pins->resets);
    outbox_end(&pins->outbox, OUT, 0, sequence, OUT_SIZE);
}

void pins_passed(pins_t *pins, const board_t *board, uint64_t now_us)
{
    board_outputs_t outputs;
    board_outputs(board, &outputs);
    if (outputs.digital == pins->shown.digital && outputs.pwm == pins->shown.pwm)
        return;
    pins->shown = outputs;
    pins->outputs_us = now_us;
    show(pins, 0);
}

static void set(pins_t *pins, const uint8_t *payload, uint64_t now_us)
{
    board_inputs_t inputs;
    bool same = true;
    for (unsigned n = 0; n < CW_ANALOG_MAX; n++) {
        inputs.analog[n] = get_u16(payload + 2 * n);
        same = same && inputs.analog[n] == pins->inputs.analog[n];
    }
    inputs.digital = get_u32(payload + 2 * CW_ANALOG_MAX);
    if (same && inputs.digital == pins->inputs.digital)
        return;
    pins->inputs = inputs;
    pins->changed_us = now_us;
}

static void step(pins_t *pins, board_t *board, uint64_t now_us)
{
    pins->step_us = now_us;
    board_pass(board, &pins->inputs, now_us);
    (void)board_fed(board);
    pins_passed(pins, board, now_us);
}

static void tell_fit(pins_t *pins, uint16_t sequence)
{
    uint8_t *at = outbox_begin(&pins->outbox, FIT_SIZE);
    if (at == NULL)
        return;
    put_u32(at, pins->overruns);
    put_u32(at + 4, pins->longest_us);
    put_u16(at + 8, pins->stack_free);
    outbox_end(&pins->outbox, FIT, 0, sequence, FIT_SIZE);
}

/* A frame of the strip. Who drives it is a test: what it does not understand it drops. */
static void handle(pins_t *pins, board_t *board, size_t frame_size, uint64_t now_us)
{
    const uint8_t *frame = pins->inbox.bytes, *payload = frame + CW_HEAD_SIZE;
    const uint16_t sequence = get_u16(frame + CW_FRAME_SEQUENCE);
    const size_t size = frame_size - CW_HEAD_SIZE - CW_CRC_SIZE;
    if (pins_bench(pins, board, frame, frame_size))
        return;
    switch (frame[CW_FRAME_TYPE]) {
    case SET:
        if (size == SET_SIZE)
            set(pins, payload, pins_time(pins, now_us));
        break;
    case GET:
        pins_passed(pins, board, pins_time(pins, now_us));
        show(pins, sequence);
        break;
    case HANG:
        pins->hangs = true;
        break;
    case LOCKSTEP:
        if (size == 1 && payload[0] == 1 && !pins->lockstep) {
            pins->step_us = now_us;
            pins->lockstep = true;
        }
        break;
    case STEP:
        if (size == STEP_SIZE && pins->lockstep) {
            step(pins, board, get_u64(payload));
            show(pins, sequence);
        }
        break;
    case HEALTH:
        tell_fit(pins, sequence);
        break;
    default:
        break;
    }
}

size_t pins_receive(pins_t *pins, board_t *board, const uint8_t *bytes, size_t count,
                    uint64_t now_us)
{
    for (size_t at = 0; at < count; at++) {
        const size_t size = inbox_take(&pins->inbox, bytes[at]);
        if (size > 0) {
            handle(pins, board, size, now_us);
            return at + 1;
        }
    }
    return count;
}

size_t pins_transmit(pins_t *pins, uint8_t *bytes, size_t room)
{
    return outbox_take(&pins->outbox, bytes, room);
}
