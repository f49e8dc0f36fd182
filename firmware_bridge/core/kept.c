#include "kept.h"

#include "bytes.h"
#include "channels.h"
#include "crc32.h"
#include "rows.h"
#include "sha256.h"
#include "signals.h"

static uint32_t crc_of(const kept_t *kept)
{
    return crc32_of((const uint8_t *)kept, offsetof(kept_t, crc));
}

/* The copy written last, by number; both may be worthless. */
static unsigned newer(const kept_t copies[2])
{
    return (int32_t)(copies[0].number - copies[1].number) > 0 ? 0U : 1U;
}

/* The newer copy that is whole; NULL if none is. */
static const kept_t *believed(const kept_t copies[2])
{
    unsigned first = newer(copies);
    if (copies[first].crc == crc_of(&copies[first]))
        return &copies[first];
    unsigned other = 1U - first;
    return copies[other].crc == crc_of(&copies[other]) ? &copies[other] : NULL;
}

static bool retains(const board_t *board, unsigned n)
{
    const uint8_t *row = channel_row(&board->table, n);
    return row[CW_T_CHANNEL_RETAIN] == 1 && row[CW_T_CHANNEL_KEEP] == 1;
}

/* The record as it should be now. */
static kept_t wanted(const board_t *board)
{
    kept_t kept;
    memset(&kept, 0, sizeof kept);
    kept.latched_rows = rows_latched(board);
    for (unsigned n = 0; n < board->table.n_channels; n++)
        if (retains(board, n))
            kept.values[n] = board->channels[n].output;
    return kept;
}

static bool same(const kept_t *a, const kept_t *b)
{
    return a->latched_rows == b->latched_rows
           && memcmp(a->values, b->values, sizeof a->values) == 0;
}

/* Over the older copy; the newer one stays whole meanwhile. */
static void write_over(kept_t copies[2], kept_t *next)
{
    unsigned last = newer(copies);
    next->number = copies[last].number + 1U;
    next->crc = crc_of(next);
    copies[1U - last] = *next;
}

void kept_update(board_t *board)
{
    kept_t *copies = board->retained->kept, next = wanted(board);
    if (!same(&copies[newer(copies)], &next))
        write_over(copies, &next);
}

/* The table beside the record, if it is one and the digest is its. */
static bool table_found(const board_retained_t *retained, table_t *table)
{
    uint8_t digest[SHA256_BYTES];
    uint16_t wrong;
    size_t size = get_u16(retained->table + CW_T_HEADER_SIZE);
    if (size > TABLE_BYTES_MAX || !table_read(table, retained->table, size, &wrong))
        return false;
    sha256_of(retained->table, size, digest);
    return memcmp(digest, retained->digest, sizeof digest) == 0;
}

bool kept_restore(board_t *board)
{
    kept_t *copies = board->retained->kept;
    const kept_t *found = believed(copies);
    table_t table;
    if (found == NULL || !table_found(board->retained, &table))
        return false;
    kept_t kept = *found;
    copies[0] = copies[1] = kept;
    board->table = table;
    board->has_table = true;
    channels_forget(board);
    for (unsigned n = 0; n < board->table.n_causes; n++)
        if (has_bit(kept.latched_rows, n))
            row_latch(board, n);
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        if (!retains(board, n) || !is_value(n, kept.values[n]))
            continue;
        board->channels[n].held = kept.values[n];
        board->channels[n].wish = kept.values[n];
        board->channels[n].output = kept.values[n];
    }
    return true;
}

void table_activate(board_t *board, const table_t *staged, const uint8_t digest[32])
{
    board_retained_t *retained = board->retained;
    uint16_t before[CW_CHANNELS_MAX];
    bool other = board->has_table;
    for (unsigned n = 0; n < CW_CHANNELS_MAX; n++)
        before[n] = board->channels[n].output;
    memset(retained->kept, 0, sizeof retained->kept); /* no record beside half a table */
    memcpy(retained->table, board->staged.bytes, board->staged.size);
    memcpy(retained->digest, digest, sizeof retained->digest);
    table_moved(&board->table, staged, retained->table);
    board->has_table = true;
    signals_forget(board);
    rows_forget(board);
    channels_forget(board);
    for (unsigned n = 0; n < board->table.n_channels; n++) {
        board->channels[n].output = before[n];
        if (other)
            channel_latch(board, n, CW_LATCH_TABLE);
        else if (channel_row(&board->table, n)[CW_T_CHANNEL_LATCH] == 1)
            channel_latch(board, n, CW_LATCH_RESTART);
    }
    channels_drive(board);
    kept_t kept = wanted(board);
    write_over(retained->kept, &kept);
}
