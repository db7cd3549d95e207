#include "front/mqtt/withhold.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

struct gnt_withheld {
    struct gnt_receipt receipt;
    struct gnt_list link;      /* in all->list */
    struct gnt_list retained;  /* in all->retained, or in none */
    struct gnt_map_node by_id; /* in front->withheld, while `known` */
    struct gnt_withholding *all;
    size_t size;
    uint32_t round; /* of `all`, in which it is answered */
    uint16_t id;
    uint8_t qos;
    bool known;   /* an exactly-once message that may be sent again */
    bool queue;   /* it goes to one, and is not safe before it is answered */
    bool settled; /* nobody holds it, but it waits for others before it */
};

/* What is withheld from one session's client; made with the first and freed with the last. */
struct gnt_withholding {
    struct gnt_list list;
    struct gnt_list retained;       /* those of QoS 1 that are retained, which keep their order */
    struct gnt_map_node by_session; /* in front->withholding */
    struct gnt_mqtt_front *front;   /* NULL: it has ended */
    struct gnt_mqtt_connection *connection; /* NULL: it has gone, and nobody is answered */
    uint64_t session;
    uint32_t round;   /* 1 and up, with each connection */
    uint32_t once;    /* of QoS 1, to be answered on this connection */
    uint32_t none;    /* of QoS 0 */
    uint32_t ordered; /* of QoS 1 and 2 */
    size_t size;
};

/* ---- Records by session, and by session and packet id */

static uint64_t session_hash(uint64_t session)
{
    return gnt_hash_mix(0, session);
}

static uint64_t id_hash(uint64_t session, uint16_t id)
{
    return gnt_hash_mix(session, id);
}

static struct gnt_withholding *find_all(const struct gnt_mqtt_front *front, uint64_t session)
{
    struct gnt_map_node *node = gnt_map_first(&front->withholding, session_hash(session));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_withholding *all = GNT_CONTAINER(node, struct gnt_withholding, by_session);
        if (all->session == session)
            return all;
    }
    return NULL;
}

static struct gnt_withheld *find(const struct gnt_withholding *all, uint16_t id)
{
    if (!all)
        return NULL;
    struct gnt_map_node *node = gnt_map_first(&all->front->withheld, id_hash(all->session, id));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_withheld *w = GNT_CONTAINER(node, struct gnt_withheld, by_id);
        if (w->id == id && w->all == all)
            return w;
    }
    return NULL;
}

static void forget(struct gnt_withheld *w)
{
    if (w->known && w->all->front)
        gnt_map_remove(&w->all->front->withheld, &w->by_id);
    w->known = false;
}

/* ---- Coming and going */

static void attach(struct gnt_withholding *all, struct gnt_withheld *w)
{
    w->all = all;
    w->round = all->round;
    all->once += w->qos == 1;
    all->none += w->qos == 0;
    all->ordered += w->qos != 0;
    all->size += w->size;
    gnt_list_push_back(&all->list, &w->link);
    w->known = w->qos == 2;
    if (w->known) {
        gnt_err err =
            gnt_map_insert(&all->front->withheld, &w->by_id, id_hash(all->session, w->id));
        GNT_ASSERT(err == GNT_OK); /* there are buckets already */
    }
}

static void all_end(struct gnt_withholding *all)
{
    if (all->front)
        gnt_map_remove(&all->front->withholding, &all->by_session);
    if (all->connection)
        all->connection->withholding = NULL;
    free(all);
}

static void detach(struct gnt_withheld *w)
{
    struct gnt_withholding *all = w->all;
    gnt_list_remove(&w->link);
    gnt_list_remove(&w->retained);
    all->once -= w->qos == 1 && w->round == all->round;
    all->none -= w->qos == 0;
    all->ordered -= w->qos != 0;
    all->size -= w->size;
    forget(w);
    if (gnt_list_empty(&all->list))
        all_end(all);
}

static void give(struct gnt_home *home, struct gnt_withheld *w)
{
    struct gnt_mqtt_connection *c = w->all->connection;
    bool answered = c && w->round == w->all->round, unread = c && gnt_withholds_too_much(c);
    bool failed = gnt_connection_reason(w->receipt.outcome) >= 0x80;
    if (w->known && w->queue && !failed)
        gnt_session_has_received(home, w->all->session, w->id);
    /* Nobody can be told; when it comes again it is published again. */
    if (!answered && w->known && failed)
        gnt_session_not_received(home, w->all->session, w->id);
    detach(w);
    if (answered)
        gnt_connection_answer_publish(c, w->qos, w->id, w->receipt.outcome, 0);
    if (unread && !gnt_withholds_too_much(c)) {
        gnt_mqtt_server_lives(&c->engine, c->front->loop->now); /* it could not be heard */
        gnt_connection_dirty(c);                                /* and is read again */
    }
    free(w);
}

/* The first one that keeps its order, from LINK on; NULL: there is none. */
static struct gnt_withheld *in_order(const struct gnt_withholding *all, struct gnt_list *link)
{
    return link == &all->retained ? NULL : GNT_CONTAINER(link, struct gnt_withheld, retained);
}

static void on_settled(struct gnt_home *home, struct gnt_work *work)
{
    struct gnt_withheld *w = GNT_CONTAINER(work, struct gnt_withheld, receipt.settled);
    struct gnt_withholding *all = w->all;
    if (!gnt_list_linked(&w->retained)) {
        give(home, w);
        return;
    }
    w->settled = true;
    w = in_order(all, all->retained.next);
    for (struct gnt_withheld *next; w && w->settled; w = next) {
        next = in_order(all, w->retained.next); /* ALL goes with the last one */
        give(home, w);
    }
}

/* ---- What is kept ready, so that withholding needs no memory, and is all that it costs who is not
 *      withheld anything */

static gnt_err have_record(struct gnt_mqtt_front *front)
{
    if (front->ready)
        return GNT_OK;
    struct gnt_withheld *w = calloc(1, sizeof *w);
    if (!w)
        return GNT_NOMEM;
    gnt_err err = gnt_map_insert(&front->withheld, &w->by_id, 0); /* for the first buckets */
    if (err) {
        free(w);
        return err;
    }
    gnt_map_remove(&front->withheld, &w->by_id);
    gnt_work_init(&w->receipt.settled, on_settled);
    gnt_list_init(&w->link);
    gnt_list_init(&w->retained);
    front->ready = w;
    return GNT_OK;
}

static gnt_err have_list(struct gnt_mqtt_front *front)
{
    if (front->ready_all)
        return GNT_OK;
    struct gnt_withholding *all = calloc(1, sizeof *all);
    if (!all)
        return GNT_NOMEM;
    gnt_err err = gnt_map_insert(&front->withholding, &all->by_session, 0);
    if (err) {
        free(all);
        return err;
    }
    gnt_map_remove(&front->withholding, &all->by_session);
    gnt_list_init(&all->list);
    gnt_list_init(&all->retained);
    all->front = front;
    all->round = 1;
    front->ready_all = all;
    return GNT_OK;
}

gnt_err gnt_withhold_receipt(struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p,
                             struct gnt_receipt **out)
{
    struct gnt_mqtt_front *front = c->front;
    struct gnt_slice queue;
    *out = NULL;
    if (p->qos == 0 && !front->limits.qos0_waits)
        return GNT_OK;
    gnt_err err = have_record(front);
    if (!err && !c->withholding)
        err = have_list(front);
    if (err)
        return err;
    front->ready->queue = gnt_topic_queue(p->topic, &queue);
    *out = &front->ready->receipt;
    return GNT_OK;
}

static bool keeps_order(const struct gnt_mqtt_publish *p)
{
    return p->retain && p->qos == 1;
}

bool gnt_withhold_wants(const struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p,
                        enum gnt_outcome outcome)
{
    const struct gnt_withholding *all = c->withholding;
    return outcome == GNT_WITHHELD || (keeps_order(p) && all && !gnt_list_empty(&all->retained));
}

void gnt_withhold(struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p, size_t size,
                  enum gnt_outcome outcome)
{
    struct gnt_mqtt_front *front = c->front;
    struct gnt_withheld *w = front->ready;
    front->ready = NULL;
    w->size = size + sizeof *w;
    w->id = p->id;
    w->qos = p->qos;
    w->settled = outcome != GNT_WITHHELD;
    if (w->settled)
        w->receipt.outcome = outcome;
    if (!c->withholding) {
        struct gnt_withholding *all = front->ready_all;
        front->ready_all = NULL;
        all->session = gnt_session_sink(c->session);
        all->connection = c;
        c->withholding = all;
        gnt_err err =
            gnt_map_insert(&front->withholding, &all->by_session, session_hash(all->session));
        GNT_ASSERT(err == GNT_OK); /* there are buckets already */
    }
    attach(c->withholding, w);
    if (keeps_order(p))
        gnt_list_push_back(&c->withholding->retained, &w->retained);
}

/* ---- The same message again */

bool gnt_withholds(struct gnt_mqtt_connection *c, uint16_t id)
{
    struct gnt_withheld *w = find(c->withholding, id);
    if (w)
        w->round = w->all->round;
    return w;
}

void gnt_withhold_released(struct gnt_mqtt_connection *c, uint16_t id)
{
    struct gnt_withheld *w = find(c->withholding, id);
    if (!w)
        return;
    forget(w);
    w->round = 0;
}

/* ---- Bounds */

uint32_t gnt_withheld_once(const struct gnt_mqtt_connection *c)
{
    return c->withholding ? c->withholding->once : 0;
}

bool gnt_withholds_too_much(const struct gnt_mqtt_connection *c)
{
    const struct gnt_withholding *all = c->withholding;
    if (!all)
        return false;
    bool too_many =
        all->ordered >= c->engine.options->receive_max && c->engine.version != GNT_MQTT_5;
    if ((all->none || too_many) && (!c->session || !gnt_session_unsettled(c->session)))
        return true;
    return all->size >= c->front->limits.output_max;
}

/* ---- Beginnings and ends */

void gnt_withhold_begin(struct gnt_mqtt_connection *c)
{
    struct gnt_withholding *all = find_all(c->front, gnt_session_sink(c->session));
    if (!all)
        return;
    all->connection = c;
    all->round++;
    all->once = 0;
    c->withholding = all;
}

void gnt_withhold_end(struct gnt_mqtt_connection *c)
{
    if (!c->withholding)
        return;
    c->withholding->connection = NULL;
    c->withholding = NULL;
}

void gnt_withhold_fini(struct gnt_mqtt_front *front)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&front->withholding, &cursor));)
        GNT_CONTAINER(node, struct gnt_withholding, by_session)->front = NULL;
    gnt_map_fini(&front->withholding);
    gnt_map_fini(&front->withheld);
    free(front->ready);
    free(front->ready_all);
    front->ready = NULL;
    front->ready_all = NULL;
}
