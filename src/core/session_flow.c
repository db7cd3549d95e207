#include "core/session_private.h"

#include "base/assert.h"
#include "core/group.h"

#include <stdlib.h>

bool gnt_session_have_ledger(struct gnt_session *s)
{
    if (!s->ledger)
        s->ledger = calloc(1, sizeof *s->ledger);
    return s->ledger != NULL;
}

void gnt_session_close_later(struct gnt_session *s, enum gnt_close_reason why)
{
    s->closing = true;
    s->why = (uint8_t)why;
    gnt_session_work_later(s);
}

/* What has been counted in ends HOW. */
static void count_out(struct gnt_session *s, enum gnt_counter how,
                      const struct gnt_message *message)
{
    gnt_ledger_out(s->home, s->ledger, how, message);
}

static void session_account(struct gnt_sink *sink, struct gnt_account *out)
{
    struct gnt_session *s = gnt_session_of(sink);
    out->client_id = gnt_slice(s->client_id, s->client_id_size);
    out->ledger = s->ledger;
    out->queued = s->queue ? gnt_pending_count(s->queue) : 0;
    for (struct gnt_flight *f = NULL; (f = gnt_window_next(&s->window, f));)
        out->queued += f->message != NULL && !f->drawn;
}

/* ---- In flight */

static void flight_remove(struct gnt_session *s, struct gnt_flight *flight)
{
    if (flight->id == s->resend_from) {
        struct gnt_flight *next = gnt_window_next(&s->window, flight);
        s->resend_from = next ? next->id : 0;
    }
    gnt_window_remove(&s->window, flight);
}

/* Its message need not be kept any more: by the group that has lent it, or here. */
static void forget_flight(struct gnt_session *s, const struct gnt_flight *flight)
{
    if (flight->number)
        gnt_group_settled(s->home, flight->cookie, flight->number);
    else if (s->kept)
        gnt_session_keep_no_delivery(s, gnt_session_sequence_of(s, flight->id));
}

/* A flight's owner is its session while it counts as unsettled: since it was sent as a PUBLISH on
 * this connection [MQTT5 4.9]. */
static void settled(struct gnt_session *s, const struct gnt_flight *flight)
{
    if (flight->owner)
        s->unsettled--;
}

/* What is in FLIGHT is dropped, as if it had been sent and acknowledged. */
static void flight_drop(struct gnt_session *s, struct gnt_flight *flight, enum gnt_counter why)
{
    count_out(s, why, flight->message);
    forget_flight(s, flight);
    flight_remove(s, flight);
}

/* What is in FLIGHT has ended HOW, and its id is to be released. */
static gnt_err flight_release(struct gnt_session *s, struct gnt_flight *flight,
                              enum gnt_counter how)
{
    gnt_err err = gnt_session_keep_released(s, flight->id);
    if (err)
        return err;
    count_out(s, how, flight->message);
    if (flight->number)
        gnt_group_settled(s->home, flight->cookie, flight->number);
    gnt_window_release(&s->window, flight);
    return GNT_OK;
}

static void send_release(struct gnt_session *s, uint16_t id)
{
    if (s->receiver->ops->release(s->receiver, id))
        gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
}

/* What is in FLIGHT is not sent again.  A client that has had it exactly once may still remember
 * its id, and take what comes with it next for the same message: so it is told to release the id,
 * and answers whether it knows it or not [MQTT5 3.7.2.1]. */
static void flight_withdraw(struct gnt_session *s, struct gnt_flight *flight, enum gnt_counter why)
{
    if (flight->qos != 2)
        flight_drop(s, flight, why);
    else if (flight_release(s, flight, why))
        gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
    else
        send_release(s, flight->id);
}

/* Sends what is in FLIGHT; whatever cannot be sent to this client ever is dropped
 * [MQTT-3.1.2-25]. */
static void flight_send(struct gnt_session *s, struct gnt_flight *flight, bool again)
{
    struct gnt_delivery d = {.message = flight->message,
                             .ids = flight->ids,
                             .id = flight->id,
                             .qos = flight->qos,
                             .retain = flight->retain,
                             .dup = again};
    gnt_err err = s->receiver->ops->deliver(s->receiver, &d);
    if (err == GNT_TOOBIG && again) {
        flight_withdraw(s, flight, GNT_COUNT_DROPPED_TOO_LARGE);
    } else if (err == GNT_TOOBIG) {
        flight_drop(s, flight, GNT_COUNT_DROPPED_TOO_LARGE);
    } else if (err) {
        gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
    } else {
        flight->owner = s;
        s->unsettled++;
    }
}

/* The same for what may have been sent before; what its client may have changed since. */
static void flight_resend(struct gnt_session *s, struct gnt_flight *flight)
{
    if (gnt_session_may_receive(s, flight->message->topic))
        flight_send(s, flight, true);
    else
        flight_withdraw(s, flight, GNT_COUNT_DROPPED_DENIED);
}

/* A client that never settles one delivery may use up the ids behind it. */
static bool has_id(const struct gnt_session *s, uint64_t sequence)
{
    return sequence ? gnt_window_takes(&s->window, gnt_session_id_of(sequence))
                    : !gnt_window_full(&s->window);
}

static bool window_has_room(const struct gnt_session *s, uint64_t sequence)
{
    return s->unsettled < s->receive_max && s->resend_from == 0 && has_id(s, sequence);
}

/* Of the delivery that comes next. */
static uint64_t next_sequence(const struct gnt_session *s)
{
    return s->kept ? s->kept->last + 1 : 0;
}

static bool receiver_ready(const struct gnt_session *s)
{
    return s->receiver && !s->held && !s->closing && s->receiver->ops->ready(s->receiver);
}

static bool can_send(const struct gnt_session *s, uint8_t qos, uint64_t sequence)
{
    return receiver_ready(s) && (qos == 0 || window_has_room(s, sequence));
}

bool gnt_session_can_send(const struct gnt_session *s, uint8_t qos)
{
    return can_send(s, qos, next_sequence(s));
}

bool gnt_session_has_room(const struct gnt_session *s)
{
    return !s->queue && gnt_session_can_send(s, 1);
}

/* At most once: what cannot be sent is dropped.  How it has ended. */
static enum gnt_counter send_once(struct gnt_session *s, struct gnt_message *message, bool retain,
                                  const struct gnt_sub_ids *ids)
{
    struct gnt_delivery d = {.message = message, .ids = *ids, .retain = retain};
    gnt_err err = s->receiver->ops->deliver(s->receiver, &d);
    if (err)
        return err == GNT_TOOBIG ? GNT_COUNT_DROPPED_TOO_LARGE : GNT_COUNT_DROPPED_NO_MEMORY;
    return GNT_COUNT_DELIVERED;
}

static gnt_err place(struct gnt_session *s, struct gnt_flight *flight, uint64_t sequence,
                     struct gnt_flight **out)
{
    if (!sequence)
        return gnt_window_add(&s->window, flight, GNT_FLIGHT_PUBLISHED, out);
    flight->id = gnt_session_id_of(sequence);
    gnt_err err = gnt_window_restore(&s->window, flight, GNT_FLIGHT_PUBLISHED);
    if (!err)
        s->kept->sent = sequence;
    *out = gnt_window_find(&s->window, flight->id);
    return err;
}

gnt_err gnt_session_place_unkept(struct gnt_session *s, struct gnt_flight *flight,
                                 struct gnt_flight **out)
{
    return place(s, flight, s->kept ? ++s->kept->last : 0, out);
}

/* Sends now what has been counted in; *w is consumed whatever happens: false if it was dropped for
 * want of memory.  A group may have lent it, and keep it under NUMBER. */
static bool send_now(struct gnt_session *s, struct gnt_waiting *w, uint64_t group, uint64_t number)
{
    if (w->qos == 0) {
        count_out(s, send_once(s, w->message, w->retain, &w->ids), w->message);
        gnt_waiting_fini(w);
        return true;
    }
    struct gnt_flight flight = {.message = w->message,
                                .ids = w->ids,
                                .cookie = group,
                                .number = number,
                                .qos = w->qos,
                                .retain = w->retain};
    struct gnt_flight *placed;
    bool again = w->again;
    if (place(s, &flight, w->sequence, &placed)) {
        count_out(s, GNT_COUNT_DROPPED_NO_MEMORY, w->message);
        if (number)
            gnt_group_settled(s->home, group, number);
        else if (w->sequence)
            gnt_session_keep_no_delivery(s, w->sequence);
        gnt_waiting_fini(w);
        return false;
    }
    *w = (struct gnt_waiting){0};
    if (again)
        flight_resend(s, placed);
    else
        flight_send(s, placed, false);
    return true;
}

/* *w, which has been counted in, is dropped. */
static void no_memory(struct gnt_session *s, struct gnt_waiting *w)
{
    count_out(s, GNT_COUNT_DROPPED_NO_MEMORY, w->message);
    gnt_waiting_fini(w);
}

/* *w could not be written: its publisher is not to be told that it is safe. */
static void not_kept(struct gnt_session *s, struct gnt_waiting *w, struct gnt_receipt *receipt)
{
    gnt_receipt_fail(receipt);
    no_memory(s, w);
}

/* *w is consumed. */
static void enqueue(struct gnt_session *s, struct gnt_waiting *w, struct gnt_receipt *receipt)
{
    bool connected = s->receiver != NULL;
    struct gnt_pending *queue = gnt_session_queue(s);
    if (!queue) {
        if (s->kept)
            not_kept(s, w, receipt);
        else
            no_memory(s, w);
        return;
    }
    if (gnt_pending_admits(queue, w, connected, receipt)) {
        if (gnt_session_keep_delivery(s, w))
            not_kept(s, w, receipt);
        else
            gnt_pending_put(queue, w, connected);
    }
    if (gnt_pending_empty(queue))
        gnt_session_queue_free(s);
}

/* The same for one that has not been counted in. */
static void pass_no_memory(struct gnt_session *s, uint8_t qos, struct gnt_receipt *receipt)
{
    gnt_ledger_pass(s->home, s->ledger, GNT_COUNT_DROPPED_NO_MEMORY);
    if (qos && s->kept)
        gnt_receipt_fail(receipt);
}

void gnt_session_send(struct gnt_session *s, struct gnt_message *message, uint8_t qos, bool retain,
                      const struct gnt_sub_ids *ids, struct gnt_receipt *receipt)
{
    if (!gnt_session_have_ledger(s)) {
        pass_no_memory(s, qos, receipt);
        return;
    }
    if (qos == 0 && !s->receiver) {
        gnt_ledger_pass(s->home, s->ledger, GNT_COUNT_DROPPED_AWAY);
        return;
    }
    bool now = !s->queue && can_send(s, qos, next_sequence(s));
    if (now && qos == 0) { /* the hot path: nothing has to be kept */
        gnt_ledger_pass(s->home, s->ledger, send_once(s, message, retain, ids));
        return;
    }
    struct gnt_waiting w = {.qos = qos, .retain = retain};
    if (gnt_sub_ids_copy(&w.ids, ids)) {
        pass_no_memory(s, qos, receipt);
        return;
    }
    gnt_ledger_in(s->home, s->ledger, message);
    w.message = gnt_message_ref(message);
    if (!now)
        enqueue(s, &w, receipt);
    else if (gnt_session_keep_delivery(s, &w))
        not_kept(s, &w, receipt);
    else if (!send_now(s, &w, 0, 0) && s->kept)
        gnt_receipt_fail(receipt);
}

static uint8_t lower(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static void session_take(struct gnt_sink *sink, struct gnt_message *message,
                         const struct gnt_match *match, struct gnt_receipt *receipt)
{
    bool retain = match->retain_as_published && message->retain; /* [MQTT5 3.3.1.3] */
    gnt_session_send(gnt_session_of(sink), message, lower(message->qos, match->qos), retain,
                     &match->ids, receipt);
}

/* A shared group's message is never queued here: another member may have room for it now. */
static enum gnt_offer session_offer(struct gnt_sink *sink, const struct gnt_offered *o)
{
    struct gnt_session *s = gnt_session_of(sink);
    uint8_t qos = lower(o->message->qos, o->options.qos);
    struct shared *sub;
    enum gnt_offer answer = gnt_session_consider(s, o->group, o->round, &sub);
    if (answer != GNT_OFFER_TAKEN)
        return answer;
    if (s->queue || !can_send(s, qos, next_sequence(s))) {
        gnt_session_turn_down(s, sub);
        return GNT_OFFER_BUSY;
    }
    struct gnt_waiting w = {.message = gnt_message_ref(o->message),
                            .ids = {.count = o->options.id != 0, .one = o->options.id},
                            .qos = qos,
                            .retain = o->options.retain_as_published && o->message->retain};
    bool lent;
    if (gnt_session_keep_offered(s, &w, o, &lent)) {
        gnt_waiting_fini(&w);
        return GNT_OFFER_FAILED;
    }
    gnt_ledger_add(s->ledger, GNT_COUNT_DUE, 1); /* the group has counted it in */
    send_now(s, &w, o->group, lent ? o->sequence : 0);
    return GNT_OFFER_TAKEN;
}

/* ---- The same for who may not be given all that it has subscribed to */

static void looking_take(struct gnt_sink *sink, struct gnt_message *message,
                         const struct gnt_match *match, struct gnt_receipt *receipt)
{
    if (gnt_session_may_receive(gnt_session_of(sink), message->topic))
        session_take(sink, message, match, receipt);
}

/* The group passes over who may not have a message.  If it comes all the same, the group does not
 * know yet what S may since a moment ago, and will know before it hears that there is room. */
static enum gnt_offer looking_offer(struct gnt_sink *sink, const struct gnt_offered *o)
{
    struct gnt_session *s = gnt_session_of(sink);
    if (gnt_session_may_receive(s, o->message->topic))
        return session_offer(sink, o);
    struct shared *sub;
    enum gnt_offer answer = gnt_session_consider(s, o->group, o->round, &sub);
    if (answer != GNT_OFFER_TAKEN)
        return answer;
    gnt_session_turn_down(s, sub);
    gnt_session_work_later(s);
    return GNT_OFFER_BUSY;
}

const struct gnt_sink_ops gnt_session_sink_ops = {session_take, session_offer, session_account};
const struct gnt_sink_ops gnt_session_looking_ops = {looking_take, looking_offer, session_account};

bool gnt_session_is(const struct gnt_sink *sink)
{
    return sink->ops->account == session_account;
}

/* ---- Sending what has waited */

/* One step through what was in flight when the connection broke, in its order [MQTT-4.4.0-1]. */
static bool resend_one(struct gnt_session *s)
{
    struct gnt_flight *flight = gnt_window_find(&s->window, s->resend_from);
    GNT_ASSERT(flight != NULL);
    if (flight->state == GNT_FLIGHT_PUBLISHED && s->unsettled >= s->receive_max)
        return false;
    struct gnt_flight *next = gnt_window_next(&s->window, flight);
    s->resend_from = next ? next->id : 0;
    if (flight->state == GNT_FLIGHT_PUBLISHED)
        flight_resend(s, flight);
    else
        send_release(s, flight->id);
    return true;
}

/* The first that waits; the queue ends when it is empty. */
static struct gnt_waiting *first_waiting(struct gnt_session *s)
{
    if (!s->queue)
        return NULL;
    struct gnt_waiting *first = gnt_session_queue_of(s)->doubtful ? gnt_session_first_permitted(s)
                                                                  : gnt_pending_first(s->queue);
    if (gnt_pending_empty(s->queue))
        gnt_session_queue_free(s);
    return first;
}

static bool send_one(struct gnt_session *s)
{
    struct gnt_waiting *first = first_waiting(s);
    if (!first || !can_send(s, first->qos, first->sequence))
        return false;
    struct gnt_waiting w;
    gnt_pending_pop(s->queue, &w);
    send_now(s, &w, 0, 0);
    return true;
}

void gnt_session_pump(struct gnt_session *s)
{
    if (!s->receiver || s->held)
        return;
    while (s->resend_from && receiver_ready(s))
        if (!resend_one(s))
            return;
    while (send_one(s))
        ;
    gnt_session_consume_on(s);
    gnt_session_fetch(s);
    if (s->walks.first || (s->shares && !gnt_session_tell_groups(s)))
        gnt_session_work_later(s);
}

void gnt_session_ready(struct gnt_session *s)
{
    gnt_session_pump(s);
}

/* ---- Settling */

static struct gnt_flight *find(struct gnt_session *s, uint16_t id, uint8_t qos,
                               enum gnt_flight_state state)
{
    struct gnt_flight *flight = gnt_window_find(&s->window, id);
    return flight && flight->qos == qos && flight->state == state ? flight : NULL;
}

static bool settle(struct gnt_session *s, struct gnt_flight *flight, enum gnt_counter how)
{
    if (!flight)
        return false;
    if (flight->message) {
        count_out(s, how, flight->message);
        forget_flight(s, flight);
    } else {
        gnt_session_keep_completed(s, flight->id);
    }
    settled(s, flight);
    flight_remove(s, flight);
    gnt_session_pump(s);
    return true;
}

/* Of what a queue has given.  Without memory to tell it the connection ends, and it goes back. */
static void settle_drawn(struct gnt_session *s, struct gnt_flight *flight,
                         const struct gnt_refusal *refusal)
{
    if (gnt_session_consumed(flight, refusal)) {
        gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
        return;
    }
    settled(s, flight);
    flight_remove(s, flight);
    gnt_session_pump(s);
}

bool gnt_session_acknowledged(struct gnt_session *s, uint16_t id, const struct gnt_refusal *refusal)
{
    struct gnt_flight *flight = find(s, id, 1, GNT_FLIGHT_PUBLISHED);
    if (!flight || !flight->drawn)
        return settle(s, flight, refusal ? GNT_COUNT_DROPPED_REFUSED : GNT_COUNT_DELIVERED);
    settle_drawn(s, flight, refusal);
    return true;
}

gnt_err gnt_session_received(struct gnt_session *s, uint16_t id, bool refused)
{
    struct gnt_flight *flight = find(s, id, 2, GNT_FLIGHT_PUBLISHED);
    if (refused)
        return settle(s, flight, GNT_COUNT_DROPPED_REFUSED) ? GNT_OK : GNT_NOTFOUND;
    if (!flight) /* it may be the same PUBREC once more */
        return find(s, id, 2, GNT_FLIGHT_RELEASED) ? GNT_OK : GNT_NOTFOUND;
    return flight_release(s, flight, GNT_COUNT_DELIVERED);
}

bool gnt_session_completed(struct gnt_session *s, uint16_t id)
{
    return settle(s, find(s, id, 2, GNT_FLIGHT_RELEASED), GNT_COUNT_DELIVERED);
}

/* ---- Parting */

/* The client has left GROUP, and what it has of it is due to it all the same [MQTT-3.10.4-3], also
 * after a restart: a session that is kept has it to itself from now on. */
void gnt_session_own(struct gnt_session *s, uint64_t group)
{
    for (struct gnt_flight *f = NULL; s->kept && (f = gnt_window_next(&s->window, f));) {
        if (f->cookie != group || !f->number || f->drawn || gnt_session_keep_flight(s, f))
            continue;
        gnt_group_settled(s->home, group, f->number);
        f->cookie = f->number = 0;
    }
}

/* At least once may go to another member at once, or again to this one; exactly once stays with
 * this session, and is not sent to anybody else even if it ends [MQTT-4.8.2-4, MQTT-4.8.2-5].  What
 * came from a group that the client has left is due to this client [MQTT-3.10.4-3], as long as
 * there is hope that it comes back; a session that is kept has it to itself. */
void gnt_session_flow_stop(struct gnt_session *s, bool for_good)
{
    s->resend_from = 0;
    gnt_session_fetch_no_more(s);
    struct gnt_flight *next = NULL;
    for (struct gnt_flight *f = gnt_window_next(&s->window, NULL); f; f = next) {
        next = gnt_window_next(&s->window, f);
        f->owner = NULL;
        if (!f->cookie || f->qos != 1)
            continue;
        if (!for_good && !gnt_session_is_member(s, f->cookie))
            continue;
        struct gnt_message *message = gnt_message_ref(f->message);
        if (gnt_group_return(s->home, f->cookie, f->number, &message)) {
            gnt_message_unref(&message);
            continue;
        }
        gnt_ledger_add(s->ledger, GNT_COUNT_DUE, -1);
        if (!f->number)
            forget_flight(s, f);
        flight_remove(s, f);
    }
    if (s->queue && !for_good)
        gnt_pending_away(s->queue);
}

void gnt_session_flow_fini(struct gnt_session *s)
{
    for (struct gnt_flight *f = NULL; (f = gnt_window_next(&s->window, f));) {
        if (!f->message)
            continue;
        count_out(s, GNT_COUNT_DROPPED_SESSION_END, f->message);
        if (f->number)
            gnt_group_settled(s->home, f->cookie, f->number);
    }
    gnt_window_fini(&s->window);
    gnt_session_queue_free(s);
    free(s->ledger);
}
