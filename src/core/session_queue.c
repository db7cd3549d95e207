#include "core/session_private.h"

#include <stdlib.h>

static struct gnt_session *session_of(struct gnt_pending *queue)
{
    return GNT_CONTAINER(queue, struct gnt_session_queue, queue)->session;
}

static void disconnect(struct gnt_pending *queue)
{
    struct gnt_session *s = session_of(queue);
    if (s->receiver)
        gnt_session_close_later(s, GNT_CLOSE_QUEUE_FULL);
}

static void forget(struct gnt_pending *queue, uint64_t sequence)
{
    gnt_session_keep_no_delivery(session_of(queue), sequence);
}

struct gnt_pending *gnt_session_queue(struct gnt_session *s)
{
    static const struct gnt_pending_ops ops = {disconnect, forget};
    if (s->queue)
        return s->queue;
    struct gnt_session_queue *q = malloc(sizeof *q);
    if (!q)
        return NULL;
    gnt_pending_init(&q->queue, s->home, s->ledger, &ops);
    q->session = s;
    q->doubtful = false;
    s->queue = &q->queue;
    return s->queue;
}

void gnt_session_queue_free(struct gnt_session *s)
{
    if (!s->queue)
        return;
    gnt_pending_fini(s->queue, GNT_COUNT_DROPPED_SESSION_END);
    free(gnt_session_queue_of(s));
    s->queue = NULL;
}

void gnt_session_doubt_queue(struct gnt_session *s)
{
    if (s->queue)
        gnt_session_queue_of(s)->doubtful = true;
}

/* What may have been sent exactly once is not dropped here, but withdrawn when its turn comes. */
static bool is_permitted(const struct gnt_session *s, const struct gnt_waiting *w)
{
    return (w->again && w->qos == 2) || gnt_session_may_receive(s, w->message->topic);
}

struct gnt_waiting *gnt_session_first_permitted(struct gnt_session *s)
{
    struct gnt_waiting *first = gnt_pending_first(s->queue);
    while (first && !is_permitted(s, first)) {
        gnt_pending_drop_first(s->queue, GNT_COUNT_DROPPED_DENIED);
        first = gnt_pending_first(s->queue);
    }
    return first;
}
