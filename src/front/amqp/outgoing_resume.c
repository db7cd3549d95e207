/* What a source that is a queue has sent, and the receiver has not settled, from one link to the
 * next [AMQP 2.6.13].
 *
 * Suspended, it holds the messages at the queue by the number of a consumer that is no more. Woken,
 * it has a consumer again, which asks for each of them whether it is still held; what is not has
 * been given to others, or will be, and is no delivery of this link any more. */

#include "front/amqp/outgoing.h"

#include <stdlib.h>

static struct gnt_going *going_at(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_going, link);
}

/* ---- Away */

static bool waits_to_resume(const struct gnt_going *g)
{
    return g->delivery && g->delivery->resume != GNT_AMQP_RESUME_NONE;
}

uint32_t gnt_outgoing_keeps(const struct gnt_terminus *t)
{
    const struct gnt_outgoing *out = GNT_CONTAINER((uintptr_t)t, struct gnt_outgoing, o.t);
    uint32_t count = 0;
    if (out->consumer.mode == GNT_CONSUME_BROWSE || !out->opened)
        return 0;
    gnt_list_each (link, &out->o.sent)
        count++;
    gnt_list_each (link, &out->o.unsent)
        count += waits_to_resume(going_at(link));
    return count;
}

void gnt_outgoing_release_unsent(struct gnt_outgoing *out)
{
    if (out->consumer.mode == GNT_CONSUME_BROWSE)
        return;
    gnt_list_each (link, &out->o.unsent) {
        const struct gnt_settling release = {.delivery = gnt_held_of(going_at(link))->number,
                                             .outcome = GNT_SETTLE_RELEASE};
        if (!going_at(link)->delivery && gnt_consumer_settle(&out->consumer, &release))
            return; /* they go back with the others */
    }
}

/* What waits to be resumed may be resumed again; what is not whole is not this link's any more. */
static void keep_sent(struct gnt_outgoing *out)
{
    gnt_list_each_safe (link, &out->o.unsent) {
        struct gnt_going *g = going_at(link);
        const struct gnt_settling release = {.delivery = gnt_held_of(g)->number,
                                             .outcome = GNT_SETTLE_RELEASE};
        gnt_list_remove(&g->link);
        if (waits_to_resume(g)) {
            gnt_list_push_back(&out->o.sent, &g->link);
            continue;
        }
        gnt_outgoing_settle(out, &release);
        gnt_held_free(gnt_held_of(g));
    }
    out->o.unsent_count = out->o.begun = 0;
}

void gnt_outgoing_rest(struct gnt_terminus *t)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    keep_sent(out);
    out->upto = out->used;
    gnt_consumer_credit(&out->consumer, out->upto, false);
}

/* Whose outcome is being made safe is settled here. */
void gnt_outgoing_suspend(struct gnt_terminus *t, bool failed)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    gnt_outgoing_untie(out);
    keep_sent(out);
    gnt_list_each_safe (link, &out->o.sent) {
        struct gnt_held *h = gnt_held_of(going_at(link));
        h->going.delivery = NULL;
        if (h->deciding || h->going.over)
            gnt_held_free(h);
    }
    out->failed |= failed;
    out->opened = false;
    if (out->consuming) /* else it has not been woken */
        gnt_consumer_suspend(&out->consumer, out->seen);
}

static void free_kept(struct gnt_outgoing *out)
{
    gnt_list_each_safe (link, &out->o.sent)
        gnt_held_free(gnt_held_of(going_at(link)));
}

/* A consumer takes them over, to give them back. */
void gnt_outgoing_expire(struct gnt_terminus *t)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    free_kept(out);
    if (!out->consumer.suspended)
        return;
    gnt_outgoing_open(out, out->consumer.queue);
    gnt_consumer_close(&out->consumer, out->failed || out->by_default.failed);
}

/* ---- Back */

gnt_err gnt_outgoing_wake(struct gnt_terminus *t, struct gnt_wanted *wanted,
                          struct gnt_waking *waking)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    gnt_buf_clear(&out->in_force);
    gnt_err err = gnt_select_new(&wanted->source.filter, wanted->own, &out->in_force,
                                 &out->consumer.filter, wanted->why);
    if (err)
        return err;
    if (out->consumer.queue != wanted->facts->id) { /* the one that it was of has been deleted */
        out->consumer.suspended = 0;
        out->seen = 0;
    }
    out->consumer.endless = wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED;
    out->waking = waking;
    out->used = out->upto = 0;
    out->draining = out->dry = false;
    gnt_outgoing_open(out, wanted->facts->id);
    return GNT_OK;
}

static void woken(struct gnt_outgoing *out)
{
    struct gnt_waking *waking = out->waking;
    out->waking = NULL;
    waking->done(out->o.t.front->home, waking);
}

void gnt_outgoing_reopened(struct gnt_outgoing *out, enum gnt_queue_result result)
{
    out->reopened = result;
    out->opened = result == GNT_QUEUE_DONE;
    if (!out->opened || !out->consumer.resumed)
        free_kept(out);
    gnt_list_each_safe (link, &out->o.sent) {
        struct gnt_held *h = gnt_held_of(going_at(link));
        const struct gnt_settling renew = {.delivery = h->number,
                                           .outcome = GNT_SETTLE_RENEW,
                                           .tell = true};
        if (gnt_outgoing_await(out, h, gnt_slice(NULL, 0)) ||
            gnt_consumer_settle(&out->consumer, &renew))
            gnt_held_free(h); /* it is the queue's until the consumer closes */
        else
            out->renewing++;
    }
    if (!out->renewing)
        woken(out);
}

void gnt_outgoing_renewed(struct gnt_outgoing *out, struct gnt_held *h,
                          enum gnt_queue_result result)
{
    gnt_map_remove(&out->deciding, &h->node);
    h->deciding = false;
    if (result != GNT_QUEUE_DONE)
        gnt_held_free(h);
    if (--out->renewing == 0)
        woken(out);
}

/* What the peer could not be told is not this link's. */
static void release_untold(struct gnt_outgoing *out, size_t told)
{
    gnt_list_each_safe (link, &out->o.sent) {
        struct gnt_held *h = gnt_held_of(going_at(link));
        const struct gnt_settling release = {.delivery = h->number, .outcome = GNT_SETTLE_RELEASE};
        if (told) {
            told--;
            continue;
        }
        gnt_outgoing_settle(out, &release);
        gnt_held_free(h);
    }
}

gnt_err gnt_outgoing_answer_again(struct gnt_outgoing *out, struct gnt_amqp_peer *p,
                                  struct gnt_wanted *wanted)
{
    size_t count = 0, i = 0;
    gnt_list_each (link, &out->o.sent)
        count++;
    struct gnt_amqp_unsettled *list = calloc(count + 1, sizeof *list);
    if (!list)
        return GNT_NOMEM;
    gnt_list_each (link, &out->o.sent) {
        struct gnt_going *g = going_at(link);
        list[i++] =
            (struct gnt_amqp_unsettled){.tag = gnt_slice(g->tag, sizeof g->tag), .context = g};
    }
    wanted->unsettled = list;
    wanted->unsettled_count = count;
    gnt_err err = gnt_attach_answer(p, wanted, gnt_buf_slice(&out->in_force));
    free(list);
    gnt_buf_fini(&out->in_force);
    if (!err)
        release_untold(out, wanted->link->restored);
    return err;
}

/* ---- What the receiver has of it */

/* Where byte OFFSET of the section number SECTION of G is; false: there is none. */
static bool find_point(const struct gnt_going *g, const struct gnt_amqp_received *point, size_t *at)
{
    struct gnt_slice parts[] = {gnt_going_head(g), g->rest};
    size_t before = 0;
    uint32_t number = 0;
    for (size_t i = 0; i < 2; before += parts[i++].size) {
        struct gnt_reader in = gnt_reader(parts[i]);
        struct gnt_amqp_value section;
        for (; gnt_read_left(&in); number++) {
            size_t begin = parts[i].size - gnt_read_left(&in);
            gnt_amqp_read(&in, &section);
            if (in.bad)
                return false;
            if (number != point->section_number)
                continue;
            *at = before + begin + (size_t)point->section_offset;
            return point->section_offset <= section.encoded.size;
        }
    }
    *at = before;
    return number == point->section_number && point->section_offset == 0;
}

/* Goes on behind what it has; without a word about that, at the beginning. */
static void go_on(struct gnt_outgoing *out, struct gnt_going *g, const struct gnt_amqp_event *event)
{
    struct gnt_amqp_received point;
    size_t from = 0;
    if (event->resume == GNT_AMQP_RESUME_CONTINUE && event->state.type != GNT_AMQP_NULL &&
        !gnt_amqp_decode_received(event->state.encoded, &point) && !find_point(g, &point, &from))
        from = 0;
    gnt_outlet_resume(&out->o, g, from);
}

/* It has decided: that is made safe first. */
static void decide(struct gnt_outgoing *out, struct gnt_held *h, const struct gnt_amqp_event *event)
{
    struct gnt_settling settling = {.delivery = h->number, .tell = true};
    if (gnt_outgoing_outcome(out, h, event, &settling)) /* it is none, or too long */
        settling.outcome = GNT_SETTLE_RELEASE;
    if (gnt_outgoing_await(out, h, gnt_slice(NULL, 0)))
        gnt_amqp_peer_broke(out->o.t.peer, GNT_NOMEM);
    else
        gnt_outgoing_settle(out, &settling);
}

void gnt_outgoing_say(struct gnt_outgoing *out, struct gnt_held *h)
{
    gnt_map_remove(&out->deciding, &h->node);
    h->deciding = false;
    h->going.over = true;
    gnt_outlet_resume(&out->o, &h->going, gnt_going_size(&h->going));
    gnt_outlet_go_on(&out->o);
}

void gnt_outgoing_resumed(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    struct gnt_going *g = event->delivery->context;
    g->delivery = event->delivery;
    switch ((enum gnt_amqp_resume)event->resume) {
    case GNT_AMQP_RESUME_AGAIN:
    case GNT_AMQP_RESUME_CONTINUE: go_on(out, g, event); break;
    case GNT_AMQP_RESUME_SETTLE: decide(out, gnt_held_of(g), event); break;
    case GNT_AMQP_RESUME_NONE:
    case GNT_AMQP_RESUME_WAIT: /* for the rest of what it has */
    case GNT_AMQP_RESUME_RESTATE:
    case GNT_AMQP_RESUME_ABORT:
    case GNT_AMQP_RESUME_FORGET: break; /* only after a word of ours, of which there is none */
    }
}
