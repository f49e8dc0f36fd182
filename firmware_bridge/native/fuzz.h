/* What the parts of the fuzzer share: its state, and how it talks. For native/fuzz.c. */
#ifndef CELLWRIGHT_FUZZ_H
#define CELLWRIGHT_FUZZ_H

#include "fuzz_tables.h"
#include "state.h"

enum { RECENT = 8, NAKS = 32, KINDS = 16 };

typedef struct {
    uint8_t bytes[300];
    size_t count;
} sent_t;

typedef struct {
    dice_t dice;
    board_t board, shadow;
    board_retained_t retained;
    board_inputs_t inputs;
    inbox_t judge;      /* what is a frame, by a decoder of its own */
    inbox_t ear;
    outbox_t mouth;
    uint64_t now_us;
    uint32_t boots, seen; /* seen: events looked at */
    uint16_t touched;   /* channels that a request may have moved */
    uint8_t table[TABLE_BYTES_MAX];
    size_t table_size;
    sent_t recent[RECENT];
    uint64_t frames, garbage, passes, acks, naks[NAKS], told[KINDS];
} fuzz_t;

/* Prints which law was broken, and ends. */
_Noreturn void broken(const fuzz_t *f, const char *law);

/* Requests, mostly right. */
void say_hello(fuzz_t *f);
void open_session(fuzz_t *f);
void load_table(fuzz_t *f);
void arm(fuzz_t *f);
void command(fuzz_t *f);
void beat(fuzz_t *f);
void small_request(fuzz_t *f);

/* Old frames, garbage, another version. */
void shout(fuzz_t *f);

#endif
