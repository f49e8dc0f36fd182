/* Talks to the core for ever in wrong and right ways and looks at what it does.
 *
 *   fuzz SEED FRAMES      prints what happened as one line of JSON; 1 and words if a law was broken
 *
 * Lives of a board: boots (with retained memory, sometimes spoiled), random tables, sessions,
 * requests right and wrong, repeated, bent, cut, garbage; random pins and times between. The laws:
 *
 *   A frame that is none changes nothing at all.
 *   A pin moves only in a pass, a boot or an activation; and only because a row forces or forced
 *   it, its lease lapsed, it was latched, or the next request of the armed session commanded it.
 *   A latched channel that nothing forces is where its lapse rule puts it. Nothing is armed without
 *   a table. First-out groups count the rows that stand or are latched.
 */
#include "bench.h"
#include "crc32.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIFE_FRAMES = 4000, STORM = 600 };

_Noreturn void broken(const fuzz_t *f, const char *law)
{
    printf("frame %llu, boot %u, %llu us: %s\n", (unsigned long long)f->frames, f->boots,
           (unsigned long long)f->now_us, law);
    exit(1);
}

/* ---- laws ----------------------------------------------------------------------------------- */

static void look_at_groups(const fuzz_t *f)
{
    const rows_t *rows = &f->board.rows;
    unsigned standing[CW_GROUPS_MAX] = {0};
    for (unsigned n = 0; n < f->board.table.n_causes; n++) {
        uint8_t group = cause_row(&f->board.table, n)[CW_T_CAUSE_GROUP];
        if (group != CW_NONE && (rows->active[n] != 0 || rows->latched[n] != 0))
            standing[group]++;
    }
    for (unsigned n = 0; n < CW_GROUPS_MAX; n++)
        if (standing[n] != rows->standing[n])
            broken(f, "a first-out group counts wrong");
}

static void look_at_latches(const fuzz_t *f)
{
    for (unsigned n = 0; n < f->board.table.n_channels; n++) {
        const channel_t *c = &f->board.channels[n];
        const uint8_t *row = channel_row(&f->board.table, n);
        uint16_t rule = row[CW_T_CHANNEL_KEEP] == 1 ? c->held : get_u16(row + CW_T_CHANNEL_LAPSE);
        if (c->latch != 0 && !c->forced && !c->locked && c->output != rule)
            broken(f, "a latched channel is not where its lapse rule puts it");
        if (!is_value(n, c->output))
            broken(f, "a pin does what its channel cannot");
    }
    if (f->board.session.state == CW_STATE_ARMED && !f->board.has_table)
        broken(f, "armed without a table");
}

/* Channels that an event since the last look explains; all of them if events were lost. */
static unsigned excused(fuzz_t *f)
{
    const events_t *events = &f->board.events;
    unsigned mask = f->touched;
    if (events->head - f->seen > CW_EVENTS_KEPT)
        mask = UINT16_MAX;
    for (; f->seen != events->head; f->seen++) {
        unsigned at = f->seen % CW_EVENTS_KEPT;
        f->told[events->kind[at] % KINDS]++;
        if (events->kind[at] == CW_EVENT_LAPSED || events->kind[at] == CW_EVENT_LATCHED)
            mask |= 1U << events->index[at];
    }
    f->touched = 0;
    return mask;
}

static void pass(fuzz_t *f)
{
    uint16_t before[CW_CHANNELS_MAX];
    bool forced[CW_CHANNELS_MAX];
    board_outputs_t outputs;
    board_outputs(&f->board, &outputs);
    for (unsigned n = 0; n < CW_CHANNELS_MAX; n++) {
        before[n] = f->board.channels[n].output;
        forced[n] = f->board.channels[n].forced;
        uint16_t pin = n == CW_PWM_CHANNEL ? outputs.pwm : has_bit(outputs.digital, n);
        if (pin != before[n])
            broken(f, "a pin is not what its channel does");
    }
    board_pass(&f->board, &f->inputs, f->now_us);
    f->passes++;
    unsigned mask = excused(f);
    for (unsigned n = 0; n < f->board.table.n_channels; n++) {
        const channel_t *c = &f->board.channels[n];
        if (c->output != before[n] && !c->forced && !forced[n] && !has_bit(mask, n))
            broken(f, "a pin moved for no reason");
    }
    look_at_groups(f);
    look_at_latches(f);
    (void)board_fed(&f->board);
}

static void let_time_pass(fuzz_t *f)
{
    for (uint32_t left = throw_dice(&f->dice, 4); left > 0; left--) {
        f->now_us += in_percent(&f->dice, 90) ? CW_PASS_US : throw_dice(&f->dice, 300000);
        if (in_percent(&f->dice, 20))
            f->inputs.digital ^= 1U << throw_dice(&f->dice, 32);
        if (in_percent(&f->dice, 20))
            f->inputs.analog[throw_dice(&f->dice, CW_ANALOG_MAX)] =
                (uint16_t)throw_dice(&f->dice, 4096);
        pass(f);
    }
    if (in_percent(&f->dice, 5))
        f->now_us += throw_dice(&f->dice, 20000); /* a pass that comes late */
}

static void boot(fuzz_t *f)
{
    static const uint8_t image[32] = {1, 2, 3};
    if (in_percent(&f->dice, 30))
        ((uint8_t *)&f->retained)[throw_dice(&f->dice, sizeof f->retained)] ^= 0x10;
    if (in_percent(&f->dice, 50))
        f->retained.kept[throw_dice(&f->dice, 2)].crc ^= 1U;
    if (in_percent(&f->dice, 20)) {
        kept_t *kept = &f->retained.kept[throw_dice(&f->dice, 2)];
        kept->latched_rows = (uint16_t)throw_dice(&f->dice, 65536);
        kept->values[throw_dice(&f->dice, CW_CHANNELS_MAX)] = 3; /* no digital channel can */
        kept->crc = crc32_of((const uint8_t *)kept, offsetof(kept_t, crc));
    }
    f->now_us = 0;
    f->boots++;
    board_start(&f->board, 0, f->boots, (uint8_t)throw_dice(&f->dice, 3), &f->retained, image);
    memset(&f->judge, 0, sizeof f->judge);
    memset(&f->ear, 0, sizeof f->ear);
    f->seen = 0;
    f->touched = 0;
}

static void step(fuzz_t *f)
{
    uint32_t what = throw_dice(&f->dice, 100);
    uint8_t state = f->board.session.state;
    if (state == CW_STATE_NONE || what < 1) {
        say_hello(f);
        open_session(f);
    } else if (state == CW_STATE_OPEN && what < 60) {
        if (in_percent(&f->dice, 80) || !f->board.has_table)
            load_table(f);
        arm(f);
    } else if (what < 2) {
        arm(f);
    } else if (what < 3) {
        load_table(f);
    } else if (what < 40) {
        beat(f);
    } else if (what < 70) {
        command(f);
    } else if (what < 90) {
        small_request(f);
    } else {
        shout(f);
    }
    let_time_pass(f);
}

/* A row that comes and goes 300 times while another one stands in its group: places end at 254. */
static void storm(fuzz_t *f)
{
    static const uint8_t image[32] = {0};
    uint8_t *bytes = f->table, *row = bytes + CW_SIZEOF_T_HEADER;
    memset(bytes, 0, TABLE_BYTES_MAX);
    memcpy(bytes, CW_TABLE_MAGIC, 4);
    bytes[CW_T_HEADER_N_SIGNALS] = bytes[CW_T_HEADER_N_CONDITIONS] = 2;
    bytes[CW_T_HEADER_N_CAUSES] = 2;
    bytes[CW_T_HEADER_N_GROUPS] = 1;
    row += 2 * CW_SIZEOF_T_SIGNAL;
    for (uint8_t n = 0; n < 2; n++, row += CW_SIZEOF_T_CONDITION)
        row[CW_T_CONDITION_SIGNAL] = n;
    for (uint8_t n = 0; n < 2; n++, row += CW_SIZEOF_T_CAUSE) {
        row[CW_T_CAUSE_KIND] = CW_KIND_INTERLOCK;
        row[CW_T_CAUSE_FIRST_CONDITION] = n;
        row[CW_T_CAUSE_N_CONDITIONS] = row[CW_T_CAUSE_VOTES] = 1;
        row[CW_T_CAUSE_VALID_SIGNAL] = CW_NONE;
    }
    put_u16(bytes + CW_T_HEADER_SIZE, (uint16_t)(row - bytes));
    board_start(&f->board, 0, 0, CW_BOOT_POWER_UP, &f->retained, image);
    (void)bench_load_begin(&f->board, (uint16_t)(row - bytes));
    (void)bench_load_data(&f->board, 0, bytes, (size_t)(row - bytes));
    if (bench_load_end(&f->board) != 0)
        broken(f, "a table that may run was refused");
    bench_signal(&f->board, 0, 1.0, CW_QUALITY_GOOD, 0, 0);
    for (uint64_t n = 1; n < STORM; n++) {
        bench_signal(&f->board, 1, n % 2 == 0 ? 1.0 : -1.0, CW_QUALITY_GOOD, 0, 0);
        bench_scan(&f->board, 0);
        uint64_t place = n / 2 < CW_NONE - 1 ? n / 2 : CW_NONE - 1;
        if (n > 1 && bench_row(&f->board, 1) >> 8 != place)
            broken(f, "a first-out place is wrong");
        look_at_groups(f);
    }
}

static void report(const fuzz_t *f)
{
    printf("{\"frames\": %llu, \"garbage\": %llu, \"passes\": %llu, \"boots\": %u, \"acks\": %llu",
           (unsigned long long)f->frames, (unsigned long long)f->garbage,
           (unsigned long long)f->passes, f->boots, (unsigned long long)f->acks);
    printf(", \"naks\": [");
    for (unsigned n = 0; n < NAKS; n++)
        printf("%s%llu", n > 0 ? ", " : "", (unsigned long long)f->naks[n]);
    printf("], \"events\": [");
    for (unsigned n = 0; n < KINDS; n++)
        printf("%s%llu", n > 0 ? ", " : "", (unsigned long long)f->told[n]);
    printf("]}\n");
}

int main(int count, char **words)
{
    static fuzz_t f;
    uint64_t frames = count > 2 ? strtoull(words[2], NULL, 10) : 100000;
    uint64_t seed = count > 1 ? strtoull(words[1], NULL, 10) : 1;
    f.dice.state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    storm(&f);
    while (f.frames < frames) {
        uint64_t end = f.frames + 1 + throw_dice(&f.dice, LIFE_FRAMES);
        boot(&f);
        while (f.frames < end)
            step(&f);
    }
    report(&f);
    return 0;
}
