#include "session.h"

#include "bytes.h"
#include "channels.h"
#include "requests.h"
#include "schema.h"

static const uint8_t SCHEMA[CW_SIZEOF_HELLO] = CW_SCHEMA_BYTES;

enum { OPENS_WITH = 1 }; /* the sequence of OPEN */

static void send(board_t *board, uint8_t type, uint32_t session, uint16_t sequence,
                 const uint8_t *payload, size_t size)
{
    uint8_t *at = outbox_begin(&board->outbox, size);
    if (at == NULL)
        return; /* the host asks again */
    memcpy(at, payload, size);
    outbox_end(&board->outbox, type, session, sequence, size);
}

static size_t write_reply(const board_t *board, refusal_t refusal, uint8_t *at)
{
    if (refusal.code == 0) {
        put_u64(at + CW_ACK_TIME_US, (uint64_t)board->now_us);
        return CW_SIZEOF_ACK;
    }
    at[CW_REPLY_NAK_CODE] = refusal.code;
    put_u16(at + CW_REPLY_NAK_DETAIL, refusal.detail);
    put_u64(at + CW_REPLY_NAK_TIME_US, (uint64_t)board->now_us);
    return CW_SIZEOF_REPLY_NAK;
}

/* A NAK that is not the answer to the session's last request, and is not kept. */
static void refuse(board_t *board, const request_t *r, uint32_t session, uint8_t code,
                   unsigned detail)
{
    uint8_t reply[CW_SIZEOF_REPLY_NAK];
    size_t size = write_reply(board, (refusal_t){code, (uint16_t)detail}, reply);
    send(board, CW_TYPE_NAK, session, r->sequence, reply, size);
}

static void send_kept(board_t *board, const request_t *r)
{
    session_t *session = &board->session;
    size_t size = session->reply_type == CW_TYPE_ACK ? CW_SIZEOF_ACK : CW_SIZEOF_REPLY_NAK;
    send(board, session->reply_type, session->open, r->sequence, session->reply, size);
}

static void keep_and_send(board_t *board, const request_t *r, refusal_t refusal)
{
    board->session.reply_type = refusal.code == 0 ? CW_TYPE_ACK : CW_TYPE_NAK;
    write_reply(board, refusal, board->session.reply);
    send_kept(board, r);
}

static void hello(board_t *board, const request_t *r)
{
    session_t *session = &board->session;
    if (r->size != CW_SIZEOF_HELLO) {
        refuse(board, r, 0, CW_NAK_LENGTH, r->size);
        return;
    }
    if (memcmp(r->payload + CW_HELLO_SCHEMA, SCHEMA, sizeof SCHEMA) != 0) {
        refuse(board, r, 0, CW_NAK_SCHEMA, 0);
        return;
    }
    uint8_t *reply = outbox_begin(&board->outbox, CW_SIZEOF_HELLO_ACK);
    if (reply == NULL)
        return;
    session->allotted++;
    if (session->allotted == 0)
        session->allotted++;
    session->pending = session->allotted;
    memset(reply, 0, CW_SIZEOF_HELLO_ACK);
    memcpy(reply + CW_HELLO_ACK_SCHEMA, SCHEMA, sizeof SCHEMA);
    memcpy(reply + CW_HELLO_ACK_IMAGE, board->image, sizeof board->image);
    if (board->has_table)
        memcpy(reply + CW_HELLO_ACK_TABLE, board->retained->digest, 32);
    put_u32(reply + CW_HELLO_ACK_BOOT_ID, board->boot_id);
    put_u64(reply + CW_HELLO_ACK_TIME_US, (uint64_t)board->now_us);
    reply[CW_HELLO_ACK_RESET_REASON] = board->reset_reason;
    put_u16(reply + CW_HELLO_ACK_LATCHED, channels_latched(board));
    put_u16(reply + CW_HELLO_ACK_TABLE_BYTES_MAX, TABLE_BYTES_MAX);
    outbox_end(&board->outbox, CW_TYPE_HELLO_ACK, session->pending, r->sequence,
               CW_SIZEOF_HELLO_ACK);
}

static void open_session(board_t *board, const request_t *r)
{
    session_t *session = &board->session;
    if (r->size != CW_SIZEOF_OPEN) {
        refuse(board, r, r->session, CW_NAK_LENGTH, r->size);
    } else if (r->sequence != OPENS_WITH) {
        refuse(board, r, r->session, CW_NAK_SEQUENCE, 0);
    } else {
        session->open = session->pending;
        session->pending = 0;
        session->last = OPENS_WITH;
        session->state = CW_STATE_OPEN;
        board->staged.size = 0;
        leases_part(board);
        keep_and_send(board, r, (refusal_t){0, 0});
    }
}

/* Why a request is not taken now; code 0 if it is. */
static refusal_t untimely(const board_t *board, const request_t *r, const action_t *action)
{
    bool armed = board->session.state == CW_STATE_ARMED;
    if (action == NULL)
        return (refusal_t){CW_NAK_TYPE, r->type};
    if (r->size < action->size_min || r->size > action->size_max)
        return (refusal_t){CW_NAK_LENGTH, r->size};
    if (action->when == ONLY_ARMED && !armed)
        return (refusal_t){CW_NAK_NOT_ARMED, 0};
    if (action->when == ONLY_UNARMED && armed)
        return (refusal_t){CW_NAK_ARMED, 0};
    return (refusal_t){0, 0};
}

static void act(board_t *board, const request_t *r)
{
    const action_t *action = action_of(r->type);
    refusal_t refusal = untimely(board, r, action);
    if (refusal.code == 0)
        refusal = action->act(board, r);
    if (refusal.code == 0 && action->reads)
        board->session.reply_type = 0;
    else
        keep_and_send(board, r, refusal);
}

/* A request in the open session: the next one acts, the last one is answered again. */
static void numbered(board_t *board, const request_t *r)
{
    session_t *session = &board->session;
    const action_t *action = action_of(r->type);
    if (r->sequence == (uint16_t)(session->last + 1U)) {
        session->last = r->sequence;
        act(board, r);
    } else if (r->sequence != session->last) {
        refuse(board, r, r->session, CW_NAK_SEQUENCE, session->last);
    } else if (session->reply_type != 0) {
        send_kept(board, r);
    } else if (action != NULL && action->reads) {
        act(board, r);
    } else {
        refuse(board, r, r->session, CW_NAK_SEQUENCE, session->last);
    }
}

void session_take(board_t *board, const uint8_t *frame, size_t size)
{
    const session_t *session = &board->session;
    request_t request = {
        .type = frame[CW_FRAME_TYPE],
        .session = get_u32(frame + CW_FRAME_SESSION),
        .sequence = get_u16(frame + CW_FRAME_SEQUENCE),
        .payload = frame + CW_FRAME_PAYLOAD,
        .size = (uint16_t)(size - CW_HEAD_SIZE - CW_CRC_SIZE),
    };
    bool opens = request.type == CW_TYPE_OPEN;
    if (frame[CW_FRAME_VERSION] != CW_VERSION)
        refuse(board, &request, 0, CW_NAK_VERSION, CW_VERSION);
    else if (request.session == 0 && request.type == CW_TYPE_HELLO)
        hello(board, &request);
    else if (opens && request.session != 0 && request.session == session->pending)
        open_session(board, &request);
    else if (session->state != CW_STATE_NONE && request.session == session->open)
        numbered(board, &request);
    else if (opens)
        refuse(board, &request, request.session, CW_NAK_SESSION, 0);
    else
        board->inbox.dropped++;
}

uint16_t session_bypassed(const board_t *board)
{
    const session_t *session = &board->session;
    return board->now_us < session->alive_until_us ? (uint16_t)session->bypassed : 0;
}
