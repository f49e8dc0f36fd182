#include "stage.h"

#include "channels.h"
#include "events.h"
#include "kept.h"
#include "sha256.h"

uint8_t stage_begin(board_t *board, uint16_t size, const uint8_t digest[32])
{
    if (size > TABLE_BYTES_MAX)
        return CW_NAK_TABLE_SIZE;
    memset(board->staged.bytes, 0, sizeof board->staged.bytes);
    memcpy(board->staged.digest, digest, sizeof board->staged.digest);
    board->staged.size = size;
    return 0;
}

uint8_t stage_data(board_t *board, uint16_t offset, const uint8_t *bytes, size_t count)
{
    if (offset + count > board->staged.size)
        return CW_NAK_TABLE_SIZE;
    memcpy(board->staged.bytes + offset, bytes, count);
    return 0;
}

static bool same(const uint8_t a[32], const uint8_t b[32])
{
    return memcmp(a, b, SHA256_BYTES) == 0;
}

static bool is_active(const board_t *board, const uint8_t digest[32])
{
    return board->has_table && same(digest, board->retained->digest);
}

uint8_t stage_activate(board_t *board, const uint8_t digest[32], uint16_t *detail)
{
    uint8_t found[SHA256_BYTES];
    table_t table;
    *detail = 0;
    if (board->staged.size == 0 || !same(digest, board->staged.digest))
        return CW_NAK_TABLE_DIGEST;
    sha256_of(board->staged.bytes, board->staged.size, found);
    if (!same(digest, found))
        return CW_NAK_TABLE_DIGEST;
    if (is_active(board, digest))
        return 0;
    if (!table_read(&table, board->staged.bytes, board->staged.size, detail))
        return CW_NAK_TABLE_BAD;
    table_activate(board, &table, digest);
    return 0;
}

uint8_t stage_arm(board_t *board, const uint8_t digest[32], bool distrust)
{
    if (!is_active(board, digest))
        return CW_NAK_TABLE_DIGEST;
    for (unsigned n = 0; distrust && n < board->table.n_channels; n++)
        channel_latch(board, n, CW_LATCH_IMAGE);
    board->session.state = CW_STATE_ARMED;
    event_add(board, CW_EVENT_ARMED, 0, CW_NONE, distrust ? 1 : 0);
    return 0;
}
