#include "front/mqtt/withhold.h"

#include <stdlib.h>

struct gnt_withheld {
    struct gnt_receipt receipt;
    struct gnt_list link;                   /* in its connection's list, or in front->orphans */
    struct gnt_mqtt_connection *connection; /* NULL: it has gone, and nobody is answered */
    uint64_t session;
    size_t size; /* of the payload */
    uint16_t id;
    uint8_t qos;
};

/* What a connection withholds; made with the first and freed with the last. */
struct gnt_withholding {
    struct gnt_list list;
    uint32_t count[3]; /* by QoS */
    uint64_t size;
};

static void attach(struct gnt_mqtt_connection *c, struct gnt_withheld *w)
{
    struct gnt_withholding *all = c->withholding;
    w->connection = c;
    all->count[w->qos]++;
    all->size += w->size;
    gnt_list_push_back(&all->list, &w->link);
}

static void detach(struct gnt_withheld *w)
{
    struct gnt_mqtt_connection *c = w->connection;
    gnt_list_remove(&w->link);
    if (!c)
        return;
    struct gnt_withholding *all = c->withholding;
    w->connection = NULL;
    all->count[w->qos]--;
    all->size -= w->size;
    if (!gnt_list_empty(&all->list))
        return;
    free(all);
    c->withholding = NULL;
}

static bool have_withholding(struct gnt_mqtt_connection *c)
{
    if (c->withholding)
        return true;
    c->withholding = calloc(1, sizeof *c->withholding);
    if (!c->withholding)
        return false;
    gnt_list_init(&c->withholding->list);
    return true;
}

static void on_settled(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    struct gnt_withheld *w = GNT_CONTAINER(work, struct gnt_withheld, receipt.settled);
    struct gnt_mqtt_connection *c = w->connection;
    detach(w);
    if (c) {
        gnt_connection_answer_publish(c, w->qos, w->id, w->receipt.outcome);
        gnt_connection_want(c); /* it may be read again */
    }
    free(w);
}

/* One record is always kept ready, so that only what is withheld costs an allocation. */
gnt_err gnt_withhold_receipt(struct gnt_mqtt_connection *c, uint8_t qos, struct gnt_receipt **out)
{
    struct gnt_mqtt_front *front = c->front;
    *out = NULL;
    if (qos == 0 && !front->limits.qos0_waits)
        return GNT_OK;
    if (!front->ready) {
        front->ready = calloc(1, sizeof *front->ready);
        if (!front->ready)
            return GNT_NOMEM;
        gnt_work_init(&front->ready->receipt.settled, on_settled);
        gnt_list_init(&front->ready->link);
    }
    *out = &front->ready->receipt;
    return GNT_OK;
}

void gnt_withhold(struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p, size_t size)
{
    struct gnt_mqtt_front *front = c->front;
    struct gnt_withheld *w = front->ready;
    front->ready = NULL;
    w->session = gnt_session_sink(c->session);
    w->size = size;
    w->id = p->id;
    w->qos = p->qos;
    if (have_withholding(c)) {
        attach(c, w);
    } else {
        gnt_list_push_back(&front->orphans, &w->link);
        gnt_connection_unanswered(c, GNT_NOMEM);
    }
}

static struct gnt_withheld *find(const struct gnt_list *list, uint64_t session, uint16_t id)
{
    gnt_list_each (link, list) {
        struct gnt_withheld *w = GNT_CONTAINER(link, struct gnt_withheld, link);
        if (w->qos == 2 && w->id == id && w->session == session)
            return w;
    }
    return NULL;
}

bool gnt_withholds(struct gnt_mqtt_connection *c, uint16_t id)
{
    uint64_t session = gnt_session_sink(c->session);
    if (c->withholding && find(&c->withholding->list, session, id))
        return true;
    struct gnt_withheld *w = find(&c->front->orphans, session, id);
    if (!w)
        return false;
    if (have_withholding(c)) {
        gnt_list_remove(&w->link);
        attach(c, w);
    } else {
        gnt_connection_unanswered(c, GNT_NOMEM);
    }
    return true;
}

uint32_t gnt_withheld_once(const struct gnt_mqtt_connection *c)
{
    return c->withholding ? c->withholding->count[1] : 0;
}

bool gnt_withholds_too_much(const struct gnt_mqtt_connection *c)
{
    const struct gnt_withholding *all = c->withholding;
    if (!all)
        return false;
    bool too_many = all->count[1] + all->count[2] >= c->engine.options->receive_max;
    return all->count[0] || (too_many && c->engine.version != GNT_MQTT_5) ||
           all->size >= c->front->limits.output_max;
}

void gnt_withhold_end(struct gnt_mqtt_connection *c)
{
    while (c->withholding) {
        struct gnt_withheld *w =
            GNT_CONTAINER(c->withholding->list.next, struct gnt_withheld, link);
        detach(w);
        gnt_list_push_back(&c->front->orphans, &w->link);
    }
}

void gnt_withhold_fini(struct gnt_mqtt_front *front)
{
    while (gnt_list_pop_front(&front->orphans))
        ;
    free(front->ready);
    front->ready = NULL;
}
