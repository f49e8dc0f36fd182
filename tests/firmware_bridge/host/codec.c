/* The core's codec as a filter, for the comparison with Python's.
 *
 * "d": bytes of a line in, each good frame out as size u16 and bytes.
 * "e": type u8, session u32, sequence u16, size u16, payload in; the bytes for the line out. */
#include "bytes.h"
#include "frame.h"

#include <stdio.h>

static int decode(void)
{
    static inbox_t inbox;
    int byte;
    while ((byte = getchar()) != EOF) {
        size_t size = inbox_take(&inbox, (uint8_t)byte);
        uint8_t head[2];
        put_u16(head, (uint16_t)size);
        if (size > 0 && (fwrite(head, 1, 2, stdout) != 2 || fwrite(inbox.bytes, 1, size, stdout) != size))
            return 1;
    }
    return 0;
}

static int encode(void)
{
    static outbox_t outbox;
    uint8_t head[9], line[OUTBOX_BYTES];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t size = get_u16(head + 7);
        uint8_t *at = outbox_begin(&outbox, size);
        if (at == NULL || fread(at, 1, size, stdin) != size)
            return 1;
        outbox_end(&outbox, head[0], get_u32(head + 1), get_u16(head + 5), size);
        size_t count = outbox_take(&outbox, line, sizeof line);
        if (fwrite(line, 1, count, stdout) != count)
            return 1;
    }
    return 0;
}

int main(int count, char **words)
{
    return count == 2 && words[1][0] == 'd' ? decode() : encode();
}
