/* The scan of controller/field/kernel.py once more, in C, over the same tables: what it is measured
 * against, and what a test ties it to byte by byte.
 *
 * `tables.h` is made from the numpy dtypes when this file is compiled (c_scan.py): structs, the order
 * of the tables in the address list, capacities and enum values, so no layout is written down twice.
 *
 * Left out is the commands' own code: a waiting command ends the call with -1.
 */
#include <math.h>
#include <stdint.h>
#include "tables.h"

#define INLINE static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline, cold))
#define RARE(x) __builtin_expect(!!(x), 0)

typedef int64_t i64;

static const i64 MEAN_NS = 600000000000;
static const double SLACK = 1e-6;
enum { TRACK_STUCK = 2, ON_OTHER = 2, UNTRIED = 3 };

INLINE double least(double a, double b) { return b < a ? b : a; }
INLINE double most(double a, double b) { return b > a ? b : a; }
INLINE double clip(double value, double low, double high) { return least(most(value, low), high); }
INLINE double seconds_of(i64 ns) { return (double)ns * 1e-9; }

/* Words shared with other processes, as controller/field/atomic.py has them. */
INLINE i64 acquire(const i64 *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
INLINE void publish(i64 *word, i64 value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

/* ---- what the kernel says ------------------------------------------------------------------ */

COLD void emit(image_t *m, i64 kind, i64 index, double a, double b)
{
    image_head_t *head = m->head;
    head->urgent = 1;
    i64 place = head->event_head;
    if (place - acquire(&head->event_tail) >= EVENT_CAPACITY) {
        head->events_lost++;
        return;
    }
    image_events_t *event = &m->events[(uint64_t)place % EVENT_CAPACITY];
    event->scan = head->scan;
    event->time_ns = head->now_ns;
    event->kind = kind;
    event->index = index;
    event->a = a;
    event->b = b;
    publish(&head->event_head, place + 1);
}

INLINE void remember(image_t *m, i64 output, double value, i64 cause)
{
    image_head_t *head = m->head;
    i64 place = head->history_head;
    if (place - acquire(&head->history_tail) >= HISTORY_CAPACITY) {
        head->history_lost++;
        return;
    }
    image_history_t *row = &m->history[(uint64_t)place % HISTORY_CAPACITY];
    row->scan = head->scan;
    row->output = output;
    row->cause = cause;
    row->value = value;
    publish(&head->history_head, place + 1);
}

/* ---- samples become signals ---------------------------------------------------------------- */

INLINE void set_quality(image_t *m, i64 index, i64 quality, i64 reason)
{
    image_signals_t *signal = &m->signals[index];
    if (RARE(signal->quality != quality))
        emit(m, EventKind_QUALITY, index, (double)signal->quality, (double)(quality * 100 + reason));
    signal->quality = quality;
    signal->reason = reason;
}

INLINE i64 judge(const plan_signals_t *limits, const image_signals_t *signal, double value,
                 i64 sample_ns, i64 now_ns)
{
    if (now_ns - sample_ns > limits->max_age_ns)
        return Reason_TOO_OLD;
    if (!__builtin_isfinite(value))
        return Reason_NOT_FINITE;
    if (value < limits->low || value > limits->high)
        return Reason_OUT_OF_RANGE;
    if (limits->rate_max > 0.0 && signal->quality == Quality_GOOD
        && sample_ns > signal->sample_ns) {
        double seconds = seconds_of(sample_ns - signal->sample_ns);
        if (fabs(value - signal->value) > limits->rate_max * seconds)
            return Reason_TOO_FAST;
    }
    return Reason_NONE;
}

INLINE void accept_sample(const plan_t *p, image_t *m, const image_inputs_t *row, i64 link,
                          i64 now_ns)
{
    i64 index = row->point;
    if (index < 0 || index >= p->n_signals || p->signals[index].kind != SignalKind_INPUT)
        return;
    image_signals_t *signal = &m->signals[index];
    i64 quality = row->quality, reason = row->reason;
    if (quality != Quality_GOOD && quality != Quality_UNCERTAIN && quality != Quality_BAD) {
        quality = Quality_BAD;
        reason = Reason_DEVICE;
    }
    i64 sample_ns = row->sample_ns < now_ns ? row->sample_ns : now_ns;
    if (reason != Reason_COMMUNICATION && reason != Reason_DRIVER
        && sample_ns > m->links[link].last_good_ns)
        m->links[link].last_good_ns = sample_ns;
    if (quality != Quality_BAD) {
        i64 found = judge(&p->signals[index], signal, row->value, sample_ns, now_ns);
        if (found != Reason_NONE) {
            quality = Quality_BAD;
            reason = found;
        } else if (signal->quality != Quality_BAD && sample_ns < signal->sample_ns) {
            return;
        }
    }
    if (quality != Quality_BAD) {
        signal->value = row->value;
        signal->sample_ns = sample_ns;
        if (signal->forced_bad == 0)
            signal->suspect_ns = sample_ns;
    }
    if (signal->forced_bad == 1) {
        quality = Quality_BAD;
        reason = Reason_STUCK;
    }
    set_quality(m, index, quality, reason);
}

INLINE void sense(const plan_t *p, image_t *m, i64 now_ns)
{
    for (i64 link = 0; link < p->n_links; link++) {
        image_input_rings_t *ring = &m->input_rings[link];
        const image_inputs_t *rows = &m->inputs[link * INPUT_CAPACITY];
        i64 head = acquire(&ring->head), tail = ring->tail;
        for (; tail < head; tail++)
            accept_sample(p, m, &rows[(uint64_t)tail % INPUT_CAPACITY], link, now_ns);
        publish(&ring->tail, tail);
        image_signals_t *age = &m->signals[p->links[link].age_signal];
        age->value = seconds_of(now_ns - m->links[link].last_good_ns);
        age->quality = Quality_GOOD;
        age->reason = Reason_NONE;
        age->sample_ns = now_ns;
    }
    i64 supervisor = p->unit->supervisor_signal;
    if (supervisor >= 0) {
        i64 silent_ns = now_ns - acquire(&m->head->supervisor_beat_ns);
        m->signals[supervisor].value = seconds_of(silent_ns > 0 ? silent_ns : 0);
        m->signals[supervisor].sample_ns = now_ns;
    }
    const plan_signals_t *restrict limits = p->signals;
    for (i64 index = 0; index < p->n_signals; index++) {
        if (limits[index].kind != SignalKind_INPUT)
            continue;
        image_signals_t *signal = &m->signals[index];
        if (signal->quality != Quality_BAD
            && now_ns - signal->sample_ns > limits[index].max_age_ns)
            set_quality(m, index, Quality_BAD, Reason_TOO_OLD);
    }
}

/* ---- blocks -------------------------------------------------------------------------------- */

INLINE double weighted_sum(const plan_t *p, const image_t *m, const plan_blocks_t *block)
{
    double total = 0.0;
    for (i64 at = block->first_term; at < block->first_term + block->n_terms; at++) {
        const image_signals_t *signal = &m->signals[p->terms[at].signal];
        if (signal->quality == Quality_BAD)
            return NAN;
        total += p->terms[at].weight * signal->value;
    }
    return total;
}

INLINE int doubtful(const plan_t *p, const image_t *m, const plan_blocks_t *block)
{
    if (block->op == BlockOp_SUM) {
        for (i64 at = block->first_term; at < block->first_term + block->n_terms; at++)
            if (m->signals[p->terms[at].signal].quality == Quality_UNCERTAIN)
                return 1;
        return 0;
    }
    i64 first = m->signals[block->a].quality;
    if (block->op == BlockOp_ELSE)
        return (first != Quality_BAD ? first : m->signals[block->b].quality) == Quality_UNCERTAIN;
    return first == Quality_UNCERTAIN
        || (block->b >= 0 && m->signals[block->b].quality == Quality_UNCERTAIN);
}

/* The row of a window's bucket that is `back` behind the running one. */
INLINE i64 bucket_at(const plan_blocks_t *block, i64 head, i64 back)
{
    i64 place = (head - back) % BUCKETS;
    return block->window * BUCKETS + (place < 0 ? place + BUCKETS : place);
}

COLD void next_bucket(image_t *m, const plan_blocks_t *block, double value, i64 now_ns)
{
    image_windows_t *state = &m->windows[block->window];
    if (state->filled > 0)
        state->head = (state->head + 1) % BUCKETS;
    state->filled = state->filled + 1 < BUCKETS ? state->filled + 1 : BUCKETS;
    i64 behind = now_ns - state->bucket_end_ns;
    state->bucket_end_ns = state->filled > 1 && behind < block->bucket_ns
        ? state->bucket_end_ns + block->bucket_ns : now_ns + block->bucket_ns;
    i64 place = bucket_at(block, state->head, 0);
    m->window_low[place] = m->window_high[place] = value;
    double low = INFINITY, high = -INFINITY;
    i64 last = state->filled - 1 < block->lag ? state->filled - 1 : block->lag;
    for (i64 back = 1; back <= last; back++) {
        low = least(low, m->window_low[bucket_at(block, state->head, back)]);
        high = most(high, m->window_high[bucket_at(block, state->head, back)]);
    }
    state->low = low;
    state->high = high;
}

COLD void next_sum(image_t *m, const plan_blocks_t *block, i64 now_ns)
{
    image_windows_t *state = &m->windows[block->window];
    state->head = (state->head + 1) % BUCKETS;
    state->filled = state->filled + 1 < BUCKETS ? state->filled + 1 : BUCKETS;
    state->bucket_end_ns = now_ns + block->bucket_ns;
    i64 place = bucket_at(block, state->head, 0);
    m->window_low[place] = m->window_high[place] = 0.0;
    state->low = state->high = 0.0;
    i64 last = state->filled - 1 < block->lag ? state->filled - 1 : block->lag;
    for (i64 back = 1; back <= last; back++) {
        state->low += m->window_low[bucket_at(block, state->head, back)];
        state->high += m->window_high[bucket_at(block, state->head, back)];
    }
}

INLINE double averaged(image_t *m, const plan_blocks_t *block, double value, i64 now_ns)
{
    image_windows_t *state = &m->windows[block->window];
    if (RARE(state->filled == 0 || now_ns >= state->bucket_end_ns))
        next_sum(m, block, now_ns);
    i64 place = bucket_at(block, state->head, 0);
    m->window_low[place] += value;
    m->window_high[place] += 1.0;
    return (state->low + m->window_low[place]) / (state->high + m->window_high[place]);
}

INLINE double windowed(image_t *m, const plan_blocks_t *block, double value, i64 now_ns)
{
    if (block->op == BlockOp_MEAN)
        return averaged(m, block, value, now_ns);
    image_windows_t *state = &m->windows[block->window];
    if (RARE(state->filled == 0 || now_ns >= state->bucket_end_ns))
        next_bucket(m, block, value, now_ns);
    i64 place = bucket_at(block, state->head, 0);
    if (value < m->window_low[place])
        m->window_low[place] = value;
    if (value > m->window_high[place])
        m->window_high[place] = value;
    m->window_last[place] = value;
    if (block->op == BlockOp_RISE) {
        i64 back = state->filled - 1 < block->lag ? state->filled - 1 : block->lag;
        return value - m->window_last[bucket_at(block, state->head, back)];
    }
    if (block->p1 == 1.0 && state->filled <= block->lag)
        return block->p0;
    double low = least(state->low, m->window_low[place]);
    if (block->op == BlockOp_LOWEST)
        return low;
    double high = most(state->high, m->window_high[place]);
    return block->op == BlockOp_HIGHEST ? high : high - low;
}

INLINE double held(image_t *m, const plan_blocks_t *block, i64 now_ns)
{
    const image_signals_t *first = &m->signals[block->a];
    image_signals_t *target = &m->signals[block->target];
    if (first->quality != Quality_BAD) {
        target->suspect_ns = now_ns;
        return first->value;
    }
    if (target->quality == Quality_BAD || first->reason == Reason_STUCK)
        return NAN;
    return (double)(now_ns - target->suspect_ns) <= block->p0 * 1e9 ? target->value : NAN;
}

INLINE double block_value(image_t *m, const plan_blocks_t *block, double seconds, i64 now_ns)
{
    double a = m->signals[block->a].value;
    if (block->op == BlockOp_LINEAR)
        return block->p0 * a + block->p1;
    if (block->op == BlockOp_TOTAL)
        return m->signals[block->target].value + block->p0 * a * seconds;
    if (RARE(block->op == BlockOp_LAG)) {
        double old = m->signals[block->target].value;
        if (m->signals[block->target].quality == Quality_BAD)
            return a;
        return old + (a - old) * (1.0 - exp(-seconds / block->p0));
    }
    if (RARE(block->window >= 0))
        return windowed(m, block, a, now_ns);
    double b = m->signals[block->b].value;
    if (RARE(block->op == BlockOp_WHILE))
        return block->p1 * b > block->p1 * block->p0 ? a : UNASKED;
    if (block->op == BlockOp_DIFF)
        return a - b;
    if (block->op == BlockOp_ABSDIFF)
        return fabs(a - b);
    return b >= block->p0 ? 100.0 * a / b : 100.0;
}

INLINE void compute_blocks(const plan_t *p, image_t *m, i64 now_ns, double seconds)
{
    for (i64 index = 0; index < p->n_blocks; index++) {
        const plan_blocks_t *block = &p->blocks[index];
        image_signals_t *target = &m->signals[block->target];
        int first_bad = block->op != BlockOp_SUM && m->signals[block->a].quality == Quality_BAD;
        double value;
        if (block->op == BlockOp_SUM)
            value = weighted_sum(p, m, block);
        else if (block->op == BlockOp_ELSE)
            value = !first_bad ? m->signals[block->a].value
                : m->signals[block->b].quality == Quality_BAD ? NAN : m->signals[block->b].value;
        else if (block->op == BlockOp_HOLD)
            value = held(m, block, now_ns);
        else if (first_bad || (block->b >= 0 && m->signals[block->b].quality == Quality_BAD))
            value = NAN;
        else
            value = block_value(m, block, seconds, now_ns);
        if (RARE(!__builtin_isfinite(value))) {
            target->quality = Quality_BAD;
            target->reason = Reason_OPERAND;
            if (block->op == BlockOp_MEAN && m->signals[block->a].reason == Reason_STUCK)
                target->reason = Reason_STUCK;
            continue;
        }
        target->value = value;
        target->quality = Quality_GOOD;
        target->reason = Reason_NONE;
        if (RARE(doubtful(p, m, block))) {
            target->quality = Quality_UNCERTAIN;
            target->reason = Reason_OPERAND;
        } else if ((block->op == BlockOp_ELSE || block->op == BlockOp_HOLD) && first_bad) {
            target->reason = Reason_SUBSTITUTED;
        }
        target->sample_ns = now_ns;
    }
}

/* ---- causes -------------------------------------------------------------------------------- */

INLINE int condition_true(const plan_conditions_t *condition, image_conditions_t *state,
                          const image_signals_t *signal, i64 now_ns)
{
    double slack = RARE(state->raw == 1) ? condition->hysteresis : 0.0;
    int is_true;
    if (condition->op == CompareOp_IS_BAD)
        is_true = signal->quality == Quality_BAD;
    else if (condition->op == CompareOp_ABOVE)
        is_true = signal->value > condition->limit - slack;
    else
        is_true = signal->value < condition->limit + slack;
    if (RARE(is_true)) {
        if (state->raw == 0) {
            state->raw = 1;
            state->since_ns = now_ns;
        }
        state->last_ns = now_ns;
        if (now_ns - state->since_ns >= condition->on_delay_ns)
            state->state = 1;
    } else if (RARE(state->raw == 1 || state->state == 1)) {
        state->raw = 0;
        if (now_ns - state->last_ns >= condition->off_delay_ns)
            state->state = 0;
    }
    return state->state == 1;
}

INLINE i64 vote(const plan_t *p, image_t *m, const plan_causes_t *cause, i64 now_ns)
{
    i64 is_true = 0, bad_trip = 0, bad_dropped = 0;
    i64 end = cause->first_condition + cause->n_conditions;
    for (i64 place = cause->first_condition; place < end; place++) {
        const plan_conditions_t *condition = &p->conditions[place];
        const image_signals_t *signal = &m->signals[condition->signal];
        if (signal->quality != Quality_BAD || condition->op == CompareOp_IS_BAD)
            is_true += condition_true(condition, &m->conditions[place], signal,
                                      now_ns);
        else if (condition->bad == BadRule_TRIP)
            bad_trip++;
        else if (m->conditions[place].state == 1 && signal->reason != Reason_STUCK
                 && now_ns - signal->sample_ns <= cause->bad_delay_ns)
            is_true++;
        else if (condition->bad == BadRule_DEGRADE)
            bad_dropped++;
    }
    if (!RARE((is_true | bad_trip | bad_dropped) != 0))
        return 0;
    i64 left = cause->n_conditions - bad_dropped;
    if (left == 0)
        return 2;
    i64 needed = cause->votes < left ? cause->votes : left;
    if (is_true >= needed)
        return 1;
    return is_true + bad_trip >= needed ? 2 : 0;
}

COLD int awaits_readback(const plan_t *p, const image_t *m, const plan_causes_t *cause)
{
    for (i64 place = cause->first_effect; place < cause->first_effect + cause->n_effects; place++) {
        const plan_effects_t *effect = &p->effects[place];
        if (effect->op != EffectOp_SIGNAL_BAD && m->outputs[effect->output].adopting == 1)
            return 1;
    }
    return 0;
}

INLINE int is_valid(image_t *m, const plan_causes_t *cause, i64 index)
{
    if (cause->valid_flag < 0)
        return 1;
    image_causes_t *state = &m->causes[index];
    int valid = (m->signals[cause->valid_flag].value > 0.5) == (cause->valid_when == 1);
    if (RARE(valid == (state->invalid == 1))) {
        state->invalid = !valid;
        emit(m, EventKind_VALIDITY, index, valid ? 1.0 : 0.0, 0.0);
    }
    return valid;
}

INLINE int is_told(const image_t *m, i64 told)
{
    return RARE(told >= 0) && m->signals[told].quality != Quality_BAD
        && m->signals[told].value > 0.5;
}

INLINE int timed(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_causes_t *cause = &p->causes[index];
    image_causes_t *state = &m->causes[index];
    i64 reached = vote(p, m, cause, now_ns);
    int told = is_told(m, cause->told);
    if (RARE(told))
        reached = 1;
    if (!is_valid(m, cause, index))
        reached = 0;
    if (RARE(reached == 2) && awaits_readback(p, m, cause))
        reached = 0;
    if (RARE(reached != 0 || state->raw != 0)) {
        state->raw = reached;
        if (reached == 1 && state->raw_ns < 0)
            state->raw_ns = now_ns;
        if (reached == 2 && state->bad_ns < 0)
            state->bad_ns = now_ns;
        if (reached == 0)
            state->raw_ns = -1;
        if (reached != 2)
            state->bad_ns = -1;
    }
    if (RARE(state->bypass_until_ns > 0)) {
        if (now_ns < state->bypass_until_ns)
            return 0;
        state->bypass_until_ns = 0;
        emit(m, EventKind_BYPASS_LAPSED, index, 0.0, 0.0);
    }
    int stands = reached > 0
        && (state->active == 1 || told
            || (state->raw_ns >= 0 && now_ns - state->raw_ns >= cause->on_delay_ns)
            || (reached == 2 && now_ns - state->bad_ns >= cause->bad_delay_ns));
    if (stands)
        state->active_ns = now_ns;
    else if (state->active == 1 && now_ns - state->active_ns < cause->off_delay_ns)
        return 1;
    return stands;
}

COLD void mark_signals(const plan_t *p, image_t *m, const plan_causes_t *cause, i64 now_ns)
{
    for (i64 at = cause->first_effect; at < cause->first_effect + cause->n_effects; at++) {
        if (p->effects[at].op != EffectOp_SIGNAL_BAD)
            continue;
        image_signals_t *signal = &m->signals[p->effects[at].output];
        signal->forced_bad = 1;
        signal->suspect_ns = now_ns - cause->bad_window_ns;
        set_quality(m, p->effects[at].output, Quality_BAD, Reason_STUCK);
    }
}

INLINE void act(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_causes_t *cause = &p->causes[index];
    image_causes_t *state = &m->causes[index];
    if (state->action_done == 1 || cause->action == 0)
        return;
    if (now_ns - state->action_ns < cause->action_delay_ns)
        return;
    if (cause->unless_a >= 0 && m->signals[cause->unless_a].value > 0.5)
        return;
    if (cause->unless_b >= 0 && m->signals[cause->unless_b].value > 0.5)
        return;
    state->action_done = 1;
    emit(m, EventKind_ACTION, index, (double)cause->action, 0.0);
}

COLD void enter_group(image_t *m, const plan_causes_t *cause, i64 index)
{
    if (cause->group < 0)
        return;
    image_groups_t *group = &m->groups[cause->group];
    if (group->standing == 0)
        group->places = 0;
    m->causes[index].place = group->places++;
    group->standing++;
}

COLD void begin(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_causes_t *cause = &p->causes[index];
    image_causes_t *state = &m->causes[index];
    state->active = 1;
    if (state->latched != 1) {
        state->order = m->head->orders++;
        enter_group(m, cause, index);
    }
    state->action_ns = now_ns;
    state->action_done = 0;
    if (cause->kind == CauseKind_PROTECT || cause->kind == CauseKind_PLAUSIBILITY)
        state->latched = 1;
    emit(m, EventKind_CAUSE_ACTIVE, index, (double)state->place, (double)state->raw);
    if (cause->kind == CauseKind_PLAUSIBILITY)
        mark_signals(p, m, cause, now_ns);
}

INLINE void evaluate(const plan_t *p, image_t *m, i64 now_ns)
{
    for (i64 index = 0; index < p->n_causes; index++) {
        image_causes_t *state = &m->causes[index];
        int stands = timed(p, m, index, now_ns);
        if (stands && state->active == 0) {
            begin(p, m, index, now_ns);
        } else if (!stands && state->active == 1) {
            state->active = 0;
            emit(m, EventKind_CAUSE_CLEARED, index, (double)state->latched, 0.0);
            if (state->latched == 0 && p->causes[index].group >= 0)
                m->groups[p->causes[index].group].standing--;
        }
        if (state->active == 1 || state->latched == 1)
            act(p, m, index, now_ns);
    }
}

/* ---- effects ------------------------------------------------------------------------------- */

COLD double mean_before(const image_t *m, i64 output, i64 until_ns)
{
    const image_outputs_t *state = &m->outputs[output];
    const double *means = &m->means[output * MEAN_BUCKETS];
    i64 late = state->mean_end_ns - MEAN_BUCKET_NS - until_ns + MEAN_BUCKET_NS - 1;
    i64 skip = late > 0 ? late / MEAN_BUCKET_NS : 0;
    double total = 0.0;
    i64 count = 0;
    for (i64 back = skip; back < skip + MEAN_NS / MEAN_BUCKET_NS; back++) {
        if (back >= state->mean_filled)
            break;
        i64 place = (state->mean_head - 1 - back) % MEAN_BUCKETS;
        total += means[place < 0 ? place + MEAN_BUCKETS : place];
        count++;
    }
    return count > 0 ? total / (double)count : state->released;
}

INLINE void bound(const plan_t *p, image_t *m, i64 output, i64 op, double value, i64 cause)
{
    image_outputs_t *state = &m->outputs[output];
    if (op == EffectOp_AT_MOST) {
        if (value < state->high_bound) {
            state->high_bound = value;
            state->high_cause = cause;
        }
    } else if (op == EffectOp_AT_LEAST) {
        if (value > state->low_bound) {
            state->low_bound = value;
            state->low_cause = cause;
        }
    } else {
        int wins = p->outputs[output].higher_wins == 1 ? value > state->force : value < state->force;
        if (state->forced == 0 || wins) {
            state->force = value;
            state->force_cause = cause;
        }
        state->forced = 1;
    }
}

INLINE void confirm(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_effects_t *effect = &p->effects[index];
    image_effects_t *state = &m->effects[index];
    const image_signals_t *signal = &m->signals[effect->confirm_signal];
    int fresh = signal->quality != Quality_BAD && signal->sample_ns > state->since_ns;
    int there = effect->confirm_op == CompareOp_BELOW ? signal->value < effect->confirm_limit
                                                      : signal->value > effect->confirm_limit;
    if (fresh && there) {
        if (state->confirm != 1)
            emit(m, EventKind_CONFIRMED, index, effect->value, 0.0);
        state->confirm = 1;
        state->since_ns = signal->sample_ns;
    } else if (state->confirm != 2 && now_ns - state->since_ns > effect->confirm_ns) {
        state->confirm = 2;
        state->second_on = effect->second_output >= 0;
        if (state->second_on == 1)
            m->outputs[effect->second_output].reassert = 1;
        emit(m, EventKind_NOT_CONFIRMED, index, effect->value, signal->value);
    }
    if (state->second_on == 1) {
        m->outputs[effect->second_output].locked = 1;
        bound(p, m, effect->second_output, EffectOp_FORCE, effect->second_value, effect->cause);
    }
}

COLD void effect_begins(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_effects_t *effect = &p->effects[index];
    image_effects_t *state = &m->effects[index];
    i64 bad_signal = p->causes[effect->cause].bad_signal;
    state->on = 1;
    state->since_ns = now_ns;
    state->mean = mean_before(m, effect->output,
                              bad_signal >= 0 ? m->signals[bad_signal].suspect_ns : now_ns);
    m->outputs[effect->output].reassert = 1;
    emit(m, EventKind_EFFECT_ON, index, effect->op == EffectOp_MEAN ? state->mean : effect->value,
         0.0);
}

INLINE void apply(const plan_t *p, image_t *m, i64 now_ns)
{
    for (i64 output = 0; output < p->n_outputs; output++) {
        image_outputs_t *state = &m->outputs[output];
        state->forced = 0;
        state->low_bound = -INFINITY;
        state->high_bound = INFINITY;
    }
    for (i64 index = 0; index < p->n_effects; index++) {
        const plan_effects_t *effect = &p->effects[index];
        if (effect->op == EffectOp_SIGNAL_BAD)
            continue;
        const image_causes_t *cause = &m->causes[effect->cause];
        image_effects_t *state = &m->effects[index];
        if (cause->active == 0 && cause->latched == 0) {
            state->on = 0;
            state->confirm = 0;
            state->second_on = 0;
            continue;
        }
        i64 kind = p->causes[effect->cause].kind;
        image_outputs_t *target = &m->outputs[effect->output];
        if (kind == CauseKind_PERMIT) {
            double step = p->outputs[effect->output].resolution;
            if (fabs(target->released - effect->value) <= 0.5 * step)
                bound(p, m, effect->output, EffectOp_FORCE, effect->value, effect->cause);
            continue;
        }
        if (RARE(effect->op == EffectOp_MEAN) && target->adopting == 1)
            continue;
        if (RARE(state->on == 0))
            effect_begins(p, m, index, now_ns);
        bound(p, m, effect->output, effect->op,
              effect->op == EffectOp_MEAN ? state->mean : effect->value, effect->cause);
        if (kind == CauseKind_PROTECT
            && (effect->op == EffectOp_FORCE || effect->op == EffectOp_MEAN))
            target->locked = 1;
        if (effect->confirm_signal >= 0)
            confirm(p, m, index, now_ns);
    }
}

/* ---- loops --------------------------------------------------------------------------------- */

INLINE double segment_value(const plan_segments_t *part, double demand)
{
    double share = clip((demand - part->u0) / (part->u1 - part->u0), 0.0, 1.0);
    return part->y0 + share * (part->y1 - part->y0);
}

INLINE double let_through(const plan_t *p, const image_t *m, const plan_loops_t *loop,
                          double demand)
{
    i64 end = loop->first_segment + loop->n_segments;
    for (i64 place = loop->first_segment; place < end; place++) {
        const plan_segments_t *part = &p->segments[place];
        const image_outputs_t *output = &m->outputs[part->output];
        double wish = segment_value(part, demand);
        if (fabs(output->released - wish) <= 1.5 * p->outputs[part->output].resolution)
            continue;
        int is_free = output->forced == 0 && output->locked == 0;
        if (is_free && output->low_bound <= wish && wish <= output->high_bound)
            continue;
        if (is_free && wish > output->high_bound && place != end - 1)
            continue;
        double share = clip((output->released - part->y0) / (part->y1 - part->y0), 0.0, 1.0);
        double seen = part->u0 + share * (part->u1 - part->u0);
        if ((part->u0 <= demand && demand <= part->u1) || (demand > part->u1 && seen < part->u1))
            return seen;
    }
    return demand;
}

COLD double shown(const plan_t *p, const image_t *m, i64 index)
{
    const plan_loops_t *loop = &p->loops[index];
    double demand = m->loops[index].op;
    for (i64 place = loop->first_segment; place < loop->first_segment + loop->n_segments; place++) {
        const plan_segments_t *part = &p->segments[place];
        const image_outputs_t *output = &m->outputs[part->output];
        double released = output->adopting == 1 ? part->y0 : output->released;
        double share = (released - part->y0) / (part->y1 - part->y0);
        if (place == loop->first_segment || share > 0.0) {
            demand = part->u0 + clip(share, 0.0, 1.0) * (part->u1 - part->u0);
            if (share < 1.0)
                break;
        }
    }
    if (loop->first_segment < 0) {
        demand = m->signals[loop->pv].value;
        for (i64 other = 0; other < p->n_loops; other++)
            if (p->loops[other].master == index && m->loops[other].mode != Mode_OFF)
                demand = m->loops[other].sp;
    }
    return clip(demand, loop->low, loop->high);
}

INLINE double error_of(const plan_loops_t *loop, double sp, double pv)
{
    double error = sp - pv;
    if (fabs(error) <= loop->deadband)
        return 0.0;
    return error > 0.0 ? error - loop->deadband : error + loop->deadband;
}

INLINE double feed_of(const image_t *m, const plan_loops_t *loop)
{
    if (loop->feedforward < 0)
        return 0.0;
    return loop->feedforward_gain * m->signals[loop->feedforward].value;
}

COLD void adopt(const plan_t *p, image_t *m, i64 index, double demand, i64 source, i64 now_ns)
{
    const plan_loops_t *loop = &p->loops[index];
    image_loops_t *state = &m->loops[index];
    double pv = m->signals[source].value;
    state->op = demand;
    state->pv_last = pv;
    state->d_filter = 0.0;
    double error = error_of(loop, state->sp, pv);
    double proportional = loop->gain * (error - (1.0 - loop->beta) * state->sp);
    state->integral = demand - proportional - feed_of(m, loop);
    state->run_ns = now_ns;
}

COLD void fall_back(const plan_t *p, image_t *m, i64 index)
{
    const plan_loops_t *loop = &p->loops[index];
    if (loop->fallback == Fallback_OTHER)
        return;
    if (loop->fallback != Fallback_MEAN) {
        m->loops[index].op = clip(loop->fallback_value, loop->low, loop->high);
        return;
    }
    i64 suspect = m->signals[loop->pv].suspect_ns;
    for (i64 place = loop->first_segment; place < loop->first_segment + loop->n_segments; place++) {
        i64 output = p->segments[place].output;
        m->outputs[output].wanted = mean_before(m, output, suspect);
    }
}

COLD i64 without_pv(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_loops_t *loop = &p->loops[index];
    image_loops_t *state = &m->loops[index];
    if (state->bad_since_ns < 0)
        state->bad_since_ns = now_ns;
    if (now_ns - state->bad_since_ns < loop->bad_hold_ns)
        return -1;
    if (state->in_fallback == 0 || state->in_fallback == UNTRIED) {
        state->in_fallback = 1;
        emit(m, EventKind_FALLBACK, index, (double)loop->fallback, 0.0);
        fall_back(p, m, index);
    }
    if (loop->fallback != Fallback_OTHER)
        return -1;
    if (m->signals[loop->other_pv].quality == Quality_BAD) {
        state->in_fallback = 1;
        return -1;
    }
    if (state->in_fallback == 1) {
        state->in_fallback = ON_OTHER;
        adopt(p, m, index, shown(p, m, index), loop->other_pv, now_ns);
    }
    return loop->other_pv;
}

INLINE i64 process_value(const plan_t *p, image_t *m, i64 index, i64 now_ns)
{
    const plan_loops_t *loop = &p->loops[index];
    image_loops_t *state = &m->loops[index];
    if (RARE(m->signals[loop->pv].quality == Quality_BAD))
        return without_pv(p, m, index, now_ns);
    if (RARE(state->in_fallback != 0)) {
        if (state->in_fallback != UNTRIED)
            emit(m, EventKind_RESTORED, index, 0.0, 0.0);
        state->in_fallback = 0;
        adopt(p, m, index, shown(p, m, index), loop->pv, now_ns);
    }
    state->bad_since_ns = -1;
    return loop->pv;
}

INLINE void pid(const plan_t *p, image_t *m, i64 index, double pv, double seconds)
{
    const plan_loops_t *loop = &p->loops[index];
    image_loops_t *state = &m->loops[index];
    double error = error_of(loop, state->sp, pv);
    double proportional = loop->gain * (error - (1.0 - loop->beta) * state->sp);
    if (loop->td_s > 0.0) {
        double weight = loop->td_s / (loop->td_s + loop->n * seconds);
        state->d_filter = weight * (state->d_filter - loop->gain * loop->n * (pv - state->pv_last));
    }
    state->pv_last = pv;
    double wish = proportional + state->integral + state->d_filter + feed_of(m, loop);
    double demand = clip(wish, loop->low, loop->high);
    if (loop->rate_max > 0.0) {
        double step = loop->rate_max * seconds;
        demand = clip(demand, state->op - step, state->op + step);
    }
    double integral = state->integral;
    if (loop->ti_s > 0.0)
        integral += loop->gain * error * seconds / loop->ti_s;
    state->op = demand;
    double actual = loop->n_segments > 0 ? let_through(p, m, loop, demand) : demand;
    int pushes = state->track == TRACK_STUCK || (state->track > 0) == (error * loop->gain > 0.0);
    if (loop->n_segments == 0 && loop->ti_s > 0.0 && state->track != 0 && pushes)
        integral -= loop->gain * error * seconds / loop->ti_s;
    double share = loop->tracking_s > 0.0 ? least(1.0, seconds / loop->tracking_s) : 0.0;
    state->integral = integral + share * (actual - wish);
}

COLD i64 saturation(const plan_t *p, const image_t *m, i64 index)
{
    const plan_loops_t *loop = &p->loops[index];
    const image_loops_t *state = &m->loops[index];
    i64 up = loop->gain >= 0.0 ? 1 : -1;
    double actual = let_through(p, m, loop, state->op);
    if (state->bad_since_ns >= 0 && state->in_fallback != ON_OTHER)
        return TRACK_STUCK;
    if (state->op >= loop->high || actual < state->op - 1e-9)
        return up;
    if (state->op <= loop->low || actual > state->op + 1e-9)
        return -up;
    return 0;
}

INLINE void request_outputs(const plan_t *p, image_t *m, i64 index)
{
    const plan_loops_t *loop = &p->loops[index];
    double demand = m->loops[index].op;
    for (i64 place = loop->first_segment; place < loop->first_segment + loop->n_segments; place++)
        m->outputs[p->segments[place].output].wanted = segment_value(&p->segments[place], demand);
}

INLINE void run_loops(const plan_t *p, image_t *m, i64 now_ns)
{
    for (i64 index = 0; index < p->n_loops; index++) {
        const plan_loops_t *loop = &p->loops[index];
        image_loops_t *state = &m->loops[index];
        if (state->mode == Mode_OFF || now_ns - state->run_ns < loop->period_ns)
            continue;
        double seconds = seconds_of(now_ns - state->run_ns);
        state->run_ns = now_ns;
        if (state->mode == Mode_CASCADE)
            state->sp = clip(m->loops[loop->master].op, loop->sp_low, loop->sp_high);
        if (state->mode == Mode_MANUAL) {
            request_outputs(p, m, index);
        } else {
            i64 source = process_value(p, m, index, now_ns);
            if (source >= 0) {
                pid(p, m, index, m->signals[source].value, seconds);
                request_outputs(p, m, index);
            } else if (state->in_fallback != 0 && loop->fallback != Fallback_MEAN) {
                request_outputs(p, m, index);
            }
        }
        if (loop->master >= 0 && state->mode == Mode_CASCADE)
            m->loops[loop->master].track = saturation(p, m, index);
        m->signals[loop->sp_signal].value = state->sp;
        m->signals[loop->op_signal].value = state->op;
    }
}

/* ---- the gate ------------------------------------------------------------------------------ */

typedef struct { double value; i64 cause; } decision;

INLINE double on_grid(double value, double low, double high, double resolution)
{
    double found = floor(value / resolution + 0.5) * resolution;
    if (RARE(found < low - SLACK * resolution))
        found = ceil(low / resolution - SLACK) * resolution;
    if (RARE(found > high + SLACK * resolution))
        found = floor(high / resolution + SLACK) * resolution;
    return found;
}

INLINE decision decide(const image_outputs_t *state, double want, int higher)
{
    decision d = {want, -1};
    if (state->forced == 1)
        d = (decision){state->force, state->force_cause};
    else if (higher && d.value > state->high_bound)
        d = (decision){state->high_bound, state->high_cause};
    else if (!higher && d.value < state->low_bound)
        d = (decision){state->low_bound, state->low_cause};
    if (higher && d.value < state->low_bound)
        d = (decision){state->low_bound, state->low_cause};
    if (!higher && d.value > state->high_bound)
        d = (decision){state->high_bound, state->high_cause};
    return d;
}

INLINE void put(image_t *m, i64 output, double value, i64 cause, i64 safe, i64 now_ns)
{
    image_outputs_t *state = &m->outputs[output];
    state->released = value;
    state->released_ns = now_ns;
    state->safe = safe;
    state->by_cause = cause;
    state->sequence++;
    remember(m, output, value, cause);
}

INLINE double resolved(const plan_outputs_t *limits, const image_outputs_t *state, double value)
{
    double low = value >= state->low_bound ? most(limits->low, state->low_bound) : limits->low;
    double high = value <= state->high_bound ? least(limits->high, state->high_bound) : limits->high;
    return on_grid(clip(value, limits->low, limits->high), low, high, limits->resolution);
}

INLINE void modulate(const plan_t *p, image_t *m, i64 output, double goal, i64 now_ns)
{
    const plan_outputs_t *limits = &p->outputs[output];
    const image_outputs_t *state = &m->outputs[output];
    if (now_ns - state->released_ns < limits->interval_ns)
        return;
    double value = goal;
    if (limits->rate_max > 0.0) {
        double step = limits->rate_max * (double)(now_ns - state->released_ns) * 1e-9;
        step = most(step, limits->resolution);
        value = clip(goal, state->released - step, state->released + step);
        value = on_grid(value, limits->low, limits->high, limits->resolution);
    }
    put(m, output, value, -1, 0, now_ns);
}

INLINE void release_one(const plan_t *p, image_t *m, i64 output, i64 now_ns)
{
    const plan_outputs_t *limits = &p->outputs[output];
    image_outputs_t *state = &m->outputs[output];
    int higher = limits->higher_wins == 1;
    double want = state->locked == 1 ? state->released : state->wanted;
    if (RARE(!__builtin_isfinite(want)))
        want = limits->safe;
    decision d = decide(state, want, higher);
    double goal = resolved(limits, state, d.value);
    decision stays = decide(state, state->released, higher);
    if (RARE(state->reassert == 1)) {
        state->reassert = 0;
        if (d.cause < 0)
            goal = resolved(limits, state, stays.value);
        put(m, output, goal, d.cause >= 0 ? d.cause : stays.cause, 1, now_ns);
    } else if (fabs(goal - state->released) > 0.5 * limits->resolution) {
        if (d.cause >= 0 || fabs(stays.value - state->released) > 0.5 * limits->resolution)
            put(m, output, goal, d.cause, 1, now_ns);
        else
            modulate(p, m, output, goal, now_ns);
    }
}

COLD int take_over(const plan_t *p, image_t *m, i64 output, i64 now_ns)
{
    const plan_outputs_t *limits = &p->outputs[output];
    image_outputs_t *state = &m->outputs[output];
    const image_signals_t *found = &m->signals[limits->readback];
    double value;
    if (state->forced == 1)
        value = state->force;
    else if (__builtin_isfinite(state->wanted))
        value = state->wanted;
    else if (found->quality == Quality_GOOD)
        value = found->value;
    else
        return 0;
    value = on_grid(clip(value, limits->low, limits->high), limits->low, limits->high,
                    limits->resolution);
    state->adopting = 0;
    state->request = state->wanted = value;
    if (limits->asked >= 0)
        m->signals[limits->asked].value = value;
    decision d = decide(state, value, limits->higher_wins == 1);
    image_signals_t *signal = &m->signals[limits->signal];
    signal->quality = Quality_GOOD;
    signal->reason = Reason_NONE;
    state->mean_end_ns = now_ns + MEAN_BUCKET_NS;
    put(m, output, resolved(limits, state, d.value), d.cause, d.cause >= 0, now_ns);
    return 1;
}

INLINE void average(image_t *m, i64 output, i64 now_ns)
{
    image_outputs_t *state = &m->outputs[output];
    state->mean_sum += state->released;
    state->mean_n += 1.0;
    if (RARE(now_ns >= state->mean_end_ns)) {
        m->means[output * MEAN_BUCKETS + state->mean_head] = state->mean_sum / state->mean_n;
        state->mean_head = (state->mean_head + 1) % MEAN_BUCKETS;
        if (state->mean_filled < MEAN_BUCKETS)
            state->mean_filled++;
        state->mean_end_ns = now_ns + MEAN_BUCKET_NS;
        state->mean_sum = 0.0;
        state->mean_n = 0.0;
    }
}

INLINE void release(const plan_t *p, image_t *m, i64 now_ns)
{
    for (i64 output = 0; output < p->n_outputs; output++) {
        const plan_outputs_t *limits = &p->outputs[output];
        image_outputs_t *state = &m->outputs[output];
        if (limits->loop < 0 || m->loops[limits->loop].mode == Mode_OFF)
            state->wanted = state->request;
        if (RARE(state->adopting == 1) && !take_over(p, m, output, now_ns))
            continue;
        release_one(p, m, output, now_ns);
        m->signals[limits->signal].value = state->released;
        average(m, output, now_ns);
    }
}

/* ---- one scan, and many -------------------------------------------------------------------- */

INLINE void scan(const plan_t *p, image_t *m, i64 now_ns)
{
    image_head_t *head = m->head;
    publish(&head->lock, head->lock + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    double seconds = seconds_of(now_ns - head->now_ns);
    head->now_ns = now_ns;
    head->scan++;
    head->urgent = 0;
    i64 pressed = acquire(&head->holds);
    if (RARE(pressed != head->holds_seen)) {
        head->holds_seen = pressed;
        if (p->unit->held_flag >= 0)
            m->signals[p->unit->held_flag].value = 1.0;
    }
    sense(p, m, now_ns);
    compute_blocks(p, m, now_ns, seconds);
    evaluate(p, m, now_ns);
    apply(p, m, now_ns);
    run_loops(p, m, now_ns);
    release(p, m, now_ns);
    publish(&head->lock, head->lock + 1);
}

/* `count` scans `period_ns` apart after `now_ns`; before each, every link has brought as many
 * samples as `feed` says for it; after each, the event and the history ring are drained.
 * Returns the time of the last scan. */
i64 scans(const i64 *handles, i64 now_ns, i64 period_ns, i64 count, const i64 *feed)
{
    plan_t plan;
    image_t image;
    tables_at(handles, &plan, &image);
    const plan_t *restrict p = &plan;
    image_t *restrict m = &image;
    for (i64 done = 0; done < count; done++) {
        if (m->head->command_tail < m->head->command_head)
            return -1;
        now_ns += period_ns;
        for (i64 link = 0; link < p->n_links; link++)
            m->input_rings[link].head += feed[link];
        scan(p, m, now_ns);
        m->head->event_tail = m->head->event_head;
        m->head->history_tail = m->head->history_head;
    }
    return now_ns;
}
