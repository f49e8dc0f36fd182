#include "status.h"

#include "bytes.h"
#include "channels.h"
#include "rows.h"

enum { US_PER_MS = 1000 };

size_t status_write(const board_t *board, uint8_t *at)
{
    const table_t *table = &board->table;
    bool alive = board->now_us < board->session.alive_until_us;
    put_u32(at + CW_STATUS_NUMBER, board->telling.number);
    put_u64(at + CW_STATUS_TIME_US, (uint64_t)board->now_us);
    put_u32(at + CW_STATUS_EVENTS, board->events.head);
    at[CW_STATUS_STATE] = (uint8_t)(board->session.state | (alive ? CW_STATE_BEAT_ALIVE : 0U));
    put_u32(at + CW_STATUS_INPUTS, board->pins.digital);
    at[CW_STATUS_DRIVEN] = board->outputs.digital;
    at[CW_STATUS_WISHED] = channels_wished(board);
    put_u16(at + CW_STATUS_PWM, board->outputs.pwm);
    put_u16(at + CW_STATUS_LATCHED, channels_latched(board));
    put_u16(at + CW_STATUS_FORCED, channels_forced(board));
    at[CW_STATUS_ANALOG_COUNT] = table->n_analog;
    uint8_t *next = at + CW_STATUS_ANALOG;
    for (unsigned n = 0; n < table->n_analog; n++, next += CW_SIZEOF_ANALOG) {
        next[CW_ANALOG_QUALITY] = board->pins.quality[n];
        put_f64(next + CW_ANALOG_VALUE, board->pins.value[n]);
    }
    *next++ = table->n_causes;
    for (unsigned n = 0; n < table->n_causes; n++)
        *next++ = row_flags(board, n);
    return (size_t)(next - at);
}

/* Every 100 ms; 1 ms after a change, at least 10 ms after the one before. */
static bool is_time(const board_t *board)
{
    const telling_t *telling = &board->telling;
    us_t since_us = board->now_us - telling->sent_us;
    if (since_us >= (us_t)CW_STATUS_MS * US_PER_MS)
        return true;
    return telling->changed_us != NEVER_US
           && board->now_us - telling->changed_us >= CW_STATUS_CHANGE_US
           && since_us >= (us_t)CW_STATUS_GAP_MS * US_PER_MS;
}

void status_tell(board_t *board)
{
    telling_t *telling = &board->telling;
    uint32_t session = board->session.state == CW_STATE_NONE ? 0 : board->session.open;
    if (!is_time(board))
        return;
    uint8_t *at = outbox_begin(&board->outbox, CW_SIZEOF_STATUS_MAX);
    if (at == NULL)
        return; /* the line is behind: a later one tells it too */
    telling->number++;
    telling->sent_us = board->now_us;
    telling->changed_us = NEVER_US;
    outbox_end(&board->outbox, CW_TYPE_STATUS, session, (uint16_t)telling->number,
               status_write(board, at));
}
