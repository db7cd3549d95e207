#include "front/amqp/outlet.h"

#include "front/amqp/delivery.h"
#include "mapping/mapping.h"

enum { LARGE = 4096 }; /* from here on a message is linked, and not copied */

void gnt_outlet_init(struct gnt_outlet *o, const struct gnt_outlet_ops *ops, bool presettled,
                     const struct gnt_random *random)
{
    o->ops = ops;
    o->presettled = presettled;
    o->tag[0] = gnt_random_u64(random);
    gnt_list_init(&o->unsent);
    gnt_list_init(&o->sent);
}

void gnt_going_fini(struct gnt_going *g)
{
    gnt_list_remove(&g->link);
    gnt_message_unref(&g->message);
    gnt_buf_fini(&g->far);
}

static gnt_err keep_head(struct gnt_going *g, struct gnt_slice head)
{
    if (head.size > sizeof g->near)
        return gnt_buf_put(&g->far, head);
    g->near_size = (uint8_t)head.size;
    memcpy(g->near, head.data, head.size);
    return GNT_OK;
}

struct gnt_slice gnt_going_head(const struct gnt_going *g)
{
    return g->far.data ? gnt_buf_slice(&g->far) : gnt_slice(g->near, g->near_size);
}

gnt_err gnt_outlet_put(struct gnt_outlet *o, struct gnt_going *g, struct gnt_message *message,
                       struct gnt_envelope_hop *hop)
{
    struct gnt_buf *scratch = &o->t.front->scratch;
    struct gnt_slice head, name;
    gnt_err err = gnt_mapping_as_amqp(message, &g->said);
    if (err)
        return err == GNT_NOMEM ? err : GNT_TOOBIG;
    hop->now = o->t.front->loop->now;
    hop->mqtt = g->said != message;
    if (!hop->mqtt && !gnt_topic_queue(message->topic, &name)) /* what MQTT has sent says it */
        hop->topic = message->topic;
    gnt_buf_clear(scratch);
    err = gnt_envelope_open(g->said, hop, scratch, &head, &g->rest);
    if (!err)
        err = keep_head(g, head);
    if (err)
        return err;
    g->outlet = o;
    g->message = gnt_message_ref(message);
    gnt_list_push_back(&o->unsent, &g->link);
    o->unsent_count++;
    return GNT_OK;
}

size_t gnt_going_size(const struct gnt_going *g)
{
    return gnt_going_head(g).size + g->rest.size;
}

/* Behind those that are resumed already, or told of, before what is new. */
void gnt_outlet_resume(struct gnt_outlet *o, struct gnt_going *g, size_t from)
{
    struct gnt_list *behind = &o->unsent;
    while (behind->next != &o->unsent &&
           GNT_CONTAINER(behind->next, struct gnt_going, link)->delivery)
        behind = behind->next;
    gnt_list_remove(&g->link);
    gnt_list_push_front(behind, &g->link);
    g->done = from;
    o->unsent_count++;
}

uint32_t gnt_outlet_credit(const struct gnt_outlet *o)
{
    uint32_t wait = o->unsent_count - o->begun, credit = o->t.link->credit;
    return credit > wait ? credit - wait : 0;
}

static void keep_message(void *context)
{
    gnt_message_ref(context);
}

static void release_message(void *context)
{
    struct gnt_message *message = context;
    gnt_message_unref(&message);
}

/* As gnt_amqp_link_send. */
static gnt_err send(struct gnt_outlet *o, struct gnt_going *g)
{
    if (!g->delivery) {
        g->tag[0] = o->tag[0];
        g->tag[1] = ++o->tag[1];
    }
    const struct gnt_amqp_sending sending = {.tag = gnt_slice(g->tag, sizeof g->tag),
                                             .settled = o->presettled};
    struct gnt_slice head = gnt_going_head(g);
    size_t of_head = g->done < head.size ? g->done : head.size, taken = 0;
    struct gnt_amqp_piece pieces[2] = {
        {.bytes = gnt_slice_skip(head, of_head)},
        {.bytes = gnt_slice_skip(g->rest, g->done - of_head), .context = g->message},
    };
    if (g->rest.size >= LARGE) {
        pieces[1].keep = keep_message;
        pieces[1].release = release_message;
    }
    gnt_err err = gnt_amqp_link_send(o->t.link, &sending, pieces, 2, &taken, &g->delivery);
    g->done += taken;
    o->begun = g->delivery && g->delivery->resume == GNT_AMQP_RESUME_NONE;
    if (g->delivery)
        g->delivery->context = g;
    if (taken || !err) /* else there is nothing to write, and looking again changes nothing */
        gnt_amqp_peer_dirty(o->t.peer);
    return err;
}

/* G, the first, does not wait any more. */
static void taken_off(struct gnt_outlet *o, struct gnt_going *g)
{
    gnt_list_remove(&g->link);
    o->unsent_count--;
    o->begun = 0;
}

static void sent(struct gnt_outlet *o, struct gnt_going *g)
{
    bool settled = o->presettled || g->over;
    gnt_count(gnt_amqp_peer_counters(o->t.peer), GNT_COUNT_AMQP_SENT, 1);
    taken_off(o, g);
    if (!settled)
        gnt_list_push_back(&o->sent, &g->link);
    o->ops->sent(o, g, settled);
}

static bool has_room(struct gnt_outlet *o)
{
    const struct gnt_amqp_peer *p = o->t.peer;
    if (p->out.size < p->front->limits.output_max)
        return true;
    gnt_terminus_wait(&o->t);
    return false;
}

/* False: the first one has to wait. */
static bool send_first(struct gnt_outlet *o)
{
    struct gnt_going *g = GNT_CONTAINER(o->unsent.next, struct gnt_going, link);
    gnt_err err = send(o, g);
    if (err == GNT_OK) {
        sent(o, g);
    } else if (err == GNT_TOOBIG) {
        taken_off(o, g);
        o->ops->too_large(o, g);
    } else {
        if (err == GNT_FULL)
            gnt_terminus_wait(&o->t); /* until some have been settled */
        else if (err == GNT_NOMEM)
            gnt_amqp_peer_broke(o->t.peer, err);
        return false;
    }
    return true;
}

void gnt_outlet_go_on(struct gnt_outlet *o)
{
    do {
        while (o->t.peer && !gnt_list_empty(&o->unsent) && has_room(o) && send_first(o))
            continue;
    } while (o->t.peer && o->ops->room(o));
}

static struct gnt_outlet *outlet_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct gnt_outlet, t);
}

void gnt_outlet_flow(struct gnt_terminus *t)
{
    gnt_terminus_owe(t);
    gnt_outlet_go_on(outlet_of(t));
    gnt_terminus_paid(t);
}

/* ---- What the peer says about messages of topics */

/* The message that is decided about, with that in *settling.  NULL: there is nothing to do about
 * it, or the link has ended. */
static struct gnt_going *told(struct gnt_terminus *t, const struct gnt_amqp_event *event,
                              struct gnt_settling *settling)
{
    struct gnt_going *g = event->delivery->context;
    if (!g)
        return NULL;
    *settling = (struct gnt_settling){.outcome = GNT_SETTLE_RELEASE};
    gnt_buf_clear(&t->front->scratch);
    gnt_err err = gnt_delivery_outcome(&event->state, g->said, gnt_slice(NULL, 0),
                                       &t->front->scratch, settling);
    if (err == GNT_MORE && !event->settled)
        return NULL;
    if (err == GNT_UNSUPPORTED) {
        gnt_terminus_end(t, GNT_AMQP_NOT_IMPLEMENTED,
                         "what comes from topics is no part of transactions");
        return NULL;
    }
    if (err == GNT_MALFORMED) {
        gnt_terminus_end(t, GNT_AMQP_INVALID_FIELD, "not an outcome for a message of a topic");
        return NULL;
    }
    if (!g->delivery->whole) {
        g->over = event->settled;
        return NULL;
    }
    return g;
}

/* What is undeliverable here is not for others either: a group could not keep it from coming here
 * again. */
static void end(struct gnt_outlet *o, struct gnt_going *g, const struct gnt_settling *settling)
{
    bool back = settling->outcome == GNT_SETTLE_RELEASE ||
                (settling->outcome == GNT_SETTLE_MODIFY && !settling->elsewhere);
    if (back)
        o->ops->back(o, g, settling);
    else
        o->ops->over(o, g,
                     settling->outcome == GNT_SETTLE_ACCEPT ? GNT_COUNT_DELIVERED
                                                            : GNT_COUNT_DROPPED_REFUSED);
}

void gnt_outlet_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct gnt_settling settling;
    struct gnt_going *g = told(t, event, &settling);
    gnt_err err = GNT_OK;
    if (!g)
        return;
    if (!event->settled) /* the peer waits to hear that it holds */
        err = gnt_amqp_delivery_settle(g->delivery, gnt_delivery_echo(&event->state), true);
    end(outlet_of(t), g, &settling);
    if (err == GNT_NOMEM)
        gnt_amqp_peer_broke(t->peer, err);
    else
        gnt_outlet_flow(t);
}
