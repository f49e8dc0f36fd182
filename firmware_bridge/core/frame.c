#include "frame.h"

#include "bytes.h"
#include "crc32.h"

enum { BLOCK_MAX = 255, EXTRA = 2 }; /* code byte in front, zero behind */

static void add(inbox_t *inbox, uint8_t byte)
{
    if (inbox->count == CW_FRAME_MAX)
        inbox->broken = true;
    else
        inbox->bytes[inbox->count++] = byte;
}

static bool is_frame(const inbox_t *inbox)
{
    if (inbox->broken || inbox->left != 0 || inbox->count < CW_HEAD_SIZE + CW_CRC_SIZE)
        return false;
    size_t body = inbox->count - CW_CRC_SIZE;
    return crc32_of(inbox->bytes, body) == get_u32(inbox->bytes + body);
}

static size_t ended(inbox_t *inbox)
{
    size_t size = is_frame(inbox) ? inbox->count : 0;
    if (size == 0 && inbox->taken > 0)
        inbox->dropped++;
    inbox->taken = 0;
    inbox->count = 0;
    inbox->left = 0;
    inbox->broken = false;
    return size;
}

size_t inbox_take(inbox_t *inbox, uint8_t byte)
{
    if (byte == 0)
        return ended(inbox);
    if (inbox->taken + 1U >= CW_ENCODED_MAX) {
        inbox->broken = true;
        return 0;
    }
    inbox->taken++;
    if (inbox->left > 0) {
        add(inbox, byte);
        inbox->left--;
        return 0;
    }
    if (inbox->taken > 1 && !inbox->whole_block)
        add(inbox, 0);
    inbox->left = (uint8_t)(byte - 1);
    inbox->whole_block = byte == BLOCK_MAX;
    return 0;
}

uint8_t *outbox_begin(outbox_t *outbox, size_t size)
{
    size_t whole = CW_HEAD_SIZE + size + CW_CRC_SIZE + EXTRA;
    if (whole > (size_t)OUTBOX_BYTES - outbox->queued)
        return NULL;
    return outbox->bytes + outbox->queued + 1 + CW_HEAD_SIZE;
}

/* In place: each zero becomes the distance to the next one. */
static void stuff(uint8_t *out, size_t count)
{
    size_t code_at = 0;
    for (size_t at = 1; at <= count; at++) {
        if (out[at] == 0) {
            out[code_at] = (uint8_t)(at - code_at);
            code_at = at;
        }
    }
    out[code_at] = (uint8_t)(count + 1 - code_at);
    out[count + 1] = 0;
}

void outbox_end(outbox_t *outbox, uint8_t type, uint32_t session, uint16_t sequence, size_t size)
{
    uint8_t *out = outbox->bytes + outbox->queued, *frame = out + 1;
    size_t body = CW_HEAD_SIZE + size;
    frame[CW_FRAME_VERSION] = CW_VERSION;
    frame[CW_FRAME_TYPE] = type;
    put_u32(frame + CW_FRAME_SESSION, session);
    put_u16(frame + CW_FRAME_SEQUENCE, sequence);
    put_u32(frame + body, crc32_of(frame, body));
    stuff(out, body + CW_CRC_SIZE);
    outbox->queued = (uint16_t)(outbox->queued + body + CW_CRC_SIZE + EXTRA);
}

size_t outbox_take(outbox_t *outbox, uint8_t *bytes, size_t room)
{
    size_t count = outbox->queued < room ? outbox->queued : room;
    memcpy(bytes, outbox->bytes, count);
    outbox->queued = (uint16_t)(outbox->queued - count);
    memmove(outbox->bytes, outbox->bytes + count, outbox->queued);
    return count;
}
