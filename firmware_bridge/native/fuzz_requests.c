/* How the fuzzer talks to a board: requests right, bent, cut and repeated. */
#include "fuzz.h"
#include "schema.h"
#include "sha256.h"

static void hear(fuzz_t *f)
{
    uint8_t bytes[64];
    size_t count;
    while ((count = board_transmit(&f->board, bytes, 1 + throw_dice(&f->dice, 64))) > 0) {
        for (size_t n = 0; n < count; n++) {
            size_t size = inbox_take(&f->ear, bytes[n]);
            if (bytes[n] == 0 && size == 0)
                broken(f, "the board sent what is no frame");
            if (size == 0)
                continue;
            f->acks += f->ear.bytes[CW_FRAME_TYPE] == CW_TYPE_ACK;
            if (f->ear.bytes[CW_FRAME_TYPE] == CW_TYPE_NAK)
                f->naks[f->ear.bytes[CW_FRAME_PAYLOAD + CW_REPLY_NAK_CODE] % NAKS]++;
        }
    }
}

/* What a frame may move, if it is the next request of the armed session. */
static void note_frame(fuzz_t *f, const uint8_t *frame, size_t size)
{
    const session_t *session = &f->board.session;
    const uint8_t *payload = frame + CW_FRAME_PAYLOAD;
    if (frame[CW_FRAME_TYPE] == CW_TYPE_TABLE_ACTIVATE)
        f->touched = UINT16_MAX;
    if (frame[CW_FRAME_TYPE] != CW_TYPE_COMMAND || session->state != CW_STATE_ARMED
        || get_u32(frame + CW_FRAME_SESSION) != session->open
        || get_u16(frame + CW_FRAME_SEQUENCE) != (uint16_t)(session->last + 1U))
        return;
    for (size_t at = CW_COMMAND_WRITES; at + CW_SIZEOF_WRITE <= size; at += CW_SIZEOF_WRITE)
        f->touched = (uint16_t)(f->touched | 1U << (payload[at] & 15U));
}

static void give(fuzz_t *f, const uint8_t *bytes, size_t count)
{
    bool any = false;
    for (size_t n = 0; n < count; n++) {
        size_t size = inbox_take(&f->judge, bytes[n]);
        if (size > 0) {
            any = true;
            note_frame(f, f->judge.bytes, size - CW_HEAD_SIZE - CW_CRC_SIZE);
        }
    }
    if (!any)
        f->shadow = f->board;
    board_receive(&f->board, bytes, count, f->now_us);
    f->frames++;
    if (!any) {
        f->garbage++;
        f->shadow.inbox = f->board.inbox;
        f->shadow.now_us = f->board.now_us;
        f->shadow.looped = true;
        if (memcmp(&f->shadow, &f->board, sizeof f->board) != 0)
            broken(f, "what is no frame changed something");
    }
    if (in_percent(&f->dice, 97))
        hear(f);
}

static sent_t *speak(fuzz_t *f, uint8_t type, uint32_t session, uint16_t sequence, size_t size)
{
    sent_t *sent = &f->recent[throw_dice(&f->dice, RECENT)];
    outbox_end(&f->mouth, type, session, sequence, size);
    sent->count = outbox_take(&f->mouth, sent->bytes, sizeof sent->bytes);
    return sent;
}

static uint8_t *begin(fuzz_t *f, size_t size)
{
    f->mouth.queued = 0;
    uint8_t *payload = outbox_begin(&f->mouth, size);
    memset(payload, 0, size);
    return payload;
}

/* The request in the mouth, as the next one of the open session; sometimes bent. */
static void ask(fuzz_t *f, uint8_t type, size_t size)
{
    const session_t *session = &f->board.session;
    uint16_t next = (uint16_t)(session->last + 1U);
    if (in_percent(&f->dice, 3))
        next = (uint16_t)(next - 2U + throw_dice(&f->dice, 4));
    uint32_t number = in_percent(&f->dice, 2) ? session->open - 1U : session->open;
    sent_t sent = *speak(f, type, number, next, size);
    if (in_percent(&f->dice, 8))
        {
        uint8_t *bent = &sent.bytes[throw_dice(&f->dice, (uint32_t)sent.count)];
        *bent = (uint8_t)(*bent ^ 1U << throw_dice(&f->dice, 8));
    }
    if (in_percent(&f->dice, 3))
        sent.count = throw_dice(&f->dice, (uint32_t)sent.count) + 1U;
    give(f, sent.bytes, sent.count);
    if (in_percent(&f->dice, 5))
        give(f, sent.bytes, sent.count);
}

/* ---- requests ------------------------------------------------------------------------------- */

void say_hello(fuzz_t *f)
{
    static const uint8_t schema[CW_SIZEOF_HELLO] = CW_SCHEMA_BYTES;
    size_t size = in_percent(&f->dice, 5) ? 7 : CW_SIZEOF_HELLO;
    uint8_t *payload = begin(f, CW_SIZEOF_HELLO);
    memcpy(payload, schema, sizeof schema);
    payload[0] ^= in_percent(&f->dice, 5);
    sent_t *sent = speak(f, CW_TYPE_HELLO, 0, (uint16_t)throw_dice(&f->dice, 65536), size);
    give(f, sent->bytes, sent->count);
}

void open_session(fuzz_t *f)
{
    uint32_t pending = f->board.session.pending;
    uint32_t number = in_percent(&f->dice, 5) ? 77U : pending;
    size_t size = in_percent(&f->dice, 5);
    begin(f, 1);
    sent_t *sent = speak(f, CW_TYPE_OPEN, number, in_percent(&f->dice, 5) ? 2 : 1, size);
    give(f, sent->bytes, sent->count);
}

void load_table(fuzz_t *f)
{
    uint8_t digest[SHA256_BYTES];
    if (in_percent(&f->dice, 60) || f->table_size == 0)
        f->table_size = throw_table(&f->dice, f->table);
    if (in_percent(&f->dice, 10))
        f->table[throw_dice(&f->dice, (uint32_t)f->table_size)] ^= 0x81;
    sha256_of(f->table, f->table_size, digest);
    digest[0] ^= in_percent(&f->dice, 3);
    uint8_t *payload = begin(f, CW_SIZEOF_TABLE_BEGIN);
    put_u16(payload, (uint16_t)(in_percent(&f->dice, 3) ? 5000U : f->table_size));
    memcpy(payload + CW_TABLE_BEGIN_DIGEST, digest, sizeof digest);
    ask(f, CW_TYPE_TABLE_BEGIN, CW_SIZEOF_TABLE_BEGIN);
    for (size_t at = 0; at < f->table_size; at += CW_CHUNK_MAX) {
        size_t count = f->table_size - at < CW_CHUNK_MAX ? f->table_size - at : CW_CHUNK_MAX;
        payload = begin(f, CW_SIZEOF_TABLE_DATA_MAX);
        put_u16(payload, (uint16_t)at);
        memcpy(payload + CW_TABLE_DATA_DATA, f->table + at, count);
        ask(f, CW_TYPE_TABLE_DATA, CW_TABLE_DATA_DATA + count);
    }
    payload = begin(f, CW_SIZEOF_TABLE_READ);
    put_u16(payload, (uint16_t)throw_dice(&f->dice, 2000));
    payload[CW_TABLE_READ_COUNT] = (uint8_t)throw_dice(&f->dice, 220);
    ask(f, CW_TYPE_TABLE_READ, CW_SIZEOF_TABLE_READ);
    memcpy(begin(f, SHA256_BYTES), digest, sizeof digest);
    ask(f, CW_TYPE_TABLE_ACTIVATE, CW_SIZEOF_TABLE_ACTIVATE);
}

void arm(fuzz_t *f)
{
    uint8_t *payload = begin(f, CW_SIZEOF_ARM);
    memcpy(payload, f->retained.digest, SHA256_BYTES);
    payload[0] ^= in_percent(&f->dice, 5);
    payload[CW_ARM_DISTRUST] = in_percent(&f->dice, 10);
    ask(f, CW_TYPE_ARM, CW_SIZEOF_ARM);
}

void command(fuzz_t *f)
{
    uint8_t *payload = begin(f, CW_SIZEOF_COMMAND_MAX);
    uint8_t count = (uint8_t)(1 + throw_dice(&f->dice, 3));
    uint32_t values = in_percent(&f->dice, 5) ? 1200 : 2;
    payload[0] = in_percent(&f->dice, 3) ? 0 : count;
    for (unsigned n = 0; n < count; n++) {
        uint8_t *write = payload + CW_COMMAND_WRITES + n * CW_SIZEOF_WRITE;
        write[CW_WRITE_CHANNEL] = (uint8_t)throw_dice(&f->dice, f->board.table.n_channels + 1U);
        put_u16(write + CW_WRITE_VALUE, (uint16_t)throw_dice(&f->dice, values));
        put_u16(write + CW_WRITE_LEASE_MS, (uint16_t)throw_dice(&f->dice, 15));
    }
    ask(f, CW_TYPE_COMMAND, CW_COMMAND_WRITES + count * CW_SIZEOF_WRITE);
}

void beat(fuzz_t *f)
{
    uint8_t *payload = begin(f, CW_SIZEOF_BEAT_MAX);
    uint8_t count = (uint8_t)throw_dice(&f->dice, CW_GIVEN_MAX + 1U);
    uint32_t bypassed = 0;
    for (unsigned n = 0; n < f->board.table.n_causes; n++)
        if (cause_row(&f->board.table, n)[CW_T_CAUSE_BYPASSABLE] == 1 && in_percent(&f->dice, 20))
            bypassed |= 1U << n;
    if (in_percent(&f->dice, 3))
        bypassed |= 1U << throw_dice(&f->dice, 32);
    put_u32(payload + CW_BEAT_PROGRESS, throw_dice(&f->dice, 3));
    put_u32(payload + CW_BEAT_BYPASSED, bypassed);
    payload[CW_BEAT_GIVEN_COUNT] = (uint8_t)(count + in_percent(&f->dice, 2));
    unsigned given = 0;
    for (unsigned n = 0; n < f->board.table.n_signals && given < count; n++) {
        uint8_t *at = payload + CW_BEAT_GIVEN + given * CW_SIZEOF_GIVEN;
        if (signal_row(&f->board.table, n)[CW_T_SIGNAL_SOURCE] != CW_SOURCE_HOST)
            continue;
        given++;
        at[CW_GIVEN_SIGNAL] = (uint8_t)(in_percent(&f->dice, 1) ? throw_dice(&f->dice, 256) : n);
        at[CW_GIVEN_QUALITY] = (uint8_t)(in_percent(&f->dice, 15) ? throw_dice(&f->dice, 4) : 0U);
        at[CW_GIVEN_REASON] = (uint8_t)throw_dice(&f->dice, 12);
        uint32_t age_ms = in_percent(&f->dice, 5) ? 65535U : throw_dice(&f->dice, 8);
        put_u16(at + CW_GIVEN_AGE_MS, (uint16_t)age_ms);
        put_f64(at + CW_GIVEN_VALUE, throw_value(&f->dice));
    }
    if (payload[CW_BEAT_GIVEN_COUNT] == count)
        payload[CW_BEAT_GIVEN_COUNT] = (uint8_t)given;
    ask(f, CW_TYPE_BEAT, CW_BEAT_GIVEN + given * CW_SIZEOF_GIVEN);
}

void small_request(fuzz_t *f)
{
    static const uint8_t types[] = {CW_TYPE_RESET, CW_TYPE_RESET, CW_TYPE_CLEAR, CW_TYPE_EVENTS};
    static const uint8_t sizes[] = {CW_SIZEOF_RESET, CW_SIZEOF_RESET, CW_SIZEOF_CLEAR,
                                    CW_SIZEOF_EVENTS};
    uint32_t which = throw_dice(&f->dice, 4);
    uint8_t *payload = begin(f, 8);
    bool known = in_percent(&f->dice, 97);
    payload[0] = (uint8_t)throw_dice(&f->dice, types[which] == CW_TYPE_RESET ? 17 : 256);
    if (types[which] == CW_TYPE_CLEAR && f->board.table.n_channels < 8)
        payload[0] &= (uint8_t)((1U << f->board.table.n_channels) | 0x3FU >> 2);
    ask(f, known ? types[which] : (uint8_t)throw_dice(&f->dice, 256),
        in_percent(&f->dice, 97) ? sizes[which] : throw_dice(&f->dice, 8));
}

void shout(fuzz_t *f)
{
    sent_t *old = &f->recent[throw_dice(&f->dice, RECENT)];
    uint8_t bytes[300] = {0};
    size_t count = 1 + throw_dice(&f->dice, sizeof bytes);
    if (old->count > 0 && in_percent(&f->dice, 60)) {
        give(f, old->bytes, old->count);
        return;
    }
    for (size_t n = 0; n < count; n++)
        bytes[n] = (uint8_t)(in_percent(&f->dice, 3) ? 0U : throw_dice(&f->dice, 256));
    give(f, bytes, count);
    bytes[0] = 0;
    give(f, bytes, 1);
    /* A frame of version 2 with the right CRC: version 2, type 1, session 0, sequence 1. */
    static const uint8_t other[] = {3, 2, 1, 1, 1, 1, 2, 1, 5, 0xE1, 0xE2, 0x6B, 0x98, 0};
    give(f, other, sizeof other);
}
