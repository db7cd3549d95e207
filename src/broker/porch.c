#include "broker/porch.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdlib.h>

enum { MANY = 1000 };

/*   state      what goes on                                 next states */
enum state {
    STATE_WAITS, /* nothing has come                         LINE, gone */
    STATE_LINE,  /* something has                            SHAKES, gone */
    STATE_SHAKES /* the stream is one of TLS                 gone */
};

struct guest {
    struct gnt_list link; /* in the list of its state */
    struct gnt_porch *porch;
    struct gnt_stream *stream;
    struct gnt_tls_context *tls; /* until the handshake begins */
    const char *url;
    gnt_porch_open *open;
    void *context;
    struct gnt_timer timer;
    enum state state;
};

/* ---- Leaving */

static void guest_free(struct guest *g)
{
    g->porch->count--;
    g->porch->shaking_count -= g->state == STATE_SHAKES;
    gnt_list_remove(&g->link);
    gnt_timer_cancel(&g->porch->loop->timers, &g->timer);
    gnt_tls_context_unref(&g->tls);
    gnt_stream_close(&g->stream);
    free(g);
}

static void log_refusal(struct gnt_stream *stream, const char *reason, const char *url)
{
    char peer[64];
    gnt_stream_peer(stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, NULL, "refuse", GNT_F_STR("reason", reason),
                    GNT_F_STR("from", peer), GNT_F_STR("listener", url));
}

static void refuse(struct guest *g, const char *reason)
{
    log_refusal(g->stream, reason, g->url);
    gnt_count(g->porch->counters, GNT_COUNT_TLS_FAILURES, 1);
    gnt_count(g->porch->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    guest_free(g);
}

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    refuse(GNT_CONTAINER(timer, struct guest, timer), "no TLS handshake in time");
}

static void close_all(struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        guest_free(GNT_CONTAINER(link, struct guest, link));
}

static void let_in(struct guest *g)
{
    gnt_porch_open *open = g->open;
    void *context = g->context;
    struct gnt_stream *stream = g->stream;
    g->stream = NULL;
    gnt_stream_want(stream, 0);
    guest_free(g);
    open(context, stream);
}

/* ---- The handshake */

static void on_shaking(struct guest *g)
{
    char words[GNT_TLS_WORDS_MAX];
    gnt_err err = gnt_tls_handshake(g->stream);
    if (!err)
        let_in(g);
    else if (err != GNT_MORE)
        refuse(g, *gnt_tls_words(g->stream, words) ? words : gnt_err_text(err));
}

static void on_ready(struct gnt_stream *stream);

static void begin(struct guest *g)
{
    struct gnt_porch *porch = g->porch;
    struct gnt_stream *tls;
    if (porch->shaking_count == MANY)
        refuse(GNT_CONTAINER(porch->shaking.next, struct guest, link), "too many TLS handshakes");
    if (gnt_tls_new(&g->stream, g->tls, NULL, &tls)) {
        refuse(g, gnt_err_text(GNT_NOMEM));
        return;
    }
    gnt_tls_context_unref(&g->tls);
    g->stream = tls;
    tls->owner = g;
    tls->on_ready = on_ready;
    gnt_list_remove(&g->link);
    gnt_list_push_back(&porch->shaking, &g->link);
    g->state = STATE_SHAKES;
    porch->shaking_count++;
    gnt_stream_want(tls, GNT_READABLE | GNT_WRITABLE);
}

/* ---- The line */

static void set_next(struct gnt_porch *porch, uint64_t deadline)
{
    gnt_err err = gnt_loop_set_timer(porch->loop, &porch->next, deadline);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

/* One in each turn: what is due at once becomes so in the next. */
static void on_next(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_porch *porch = GNT_CONTAINER(timer, struct gnt_porch, next);
    set_next(porch, GNT_FAR); /* first of all, while there is surely room for it */
    if (gnt_list_empty(&porch->line))
        return;
    begin(GNT_CONTAINER(porch->line.next, struct guest, link));
    if (!gnt_list_empty(&porch->line))
        set_next(porch, now);
}

static void stand_in_line(struct guest *g)
{
    gnt_stream_want(g->stream, 0);
    gnt_list_remove(&g->link);
    gnt_list_push_back(&g->porch->line, &g->link);
    g->state = STATE_LINE;
    set_next(g->porch, g->porch->loop->now);
}

static void on_ready(struct gnt_stream *stream)
{
    struct guest *g = stream->owner;
    if (g->state == STATE_WAITS)
        stand_in_line(g);
    else
        on_shaking(g);
}

/* ---- The porch */

gnt_err gnt_porch_init(struct gnt_porch *porch, struct gnt_loop *loop,
                       struct gnt_counters *counters, const struct gnt_mqtt_limits *limits)
{
    *porch = (struct gnt_porch){
        .loop = loop, .counters = counters, .limits = limits, .next.fire = on_next};
    gnt_list_init(&porch->waiting);
    gnt_list_init(&porch->line);
    gnt_list_init(&porch->shaking);
    gnt_err err = gnt_loop_set_timer(loop, &porch->next, GNT_FAR);
    if (err)
        porch->loop = NULL;
    return err;
}

void gnt_porch_fini(struct gnt_porch *porch)
{
    if (!porch->loop)
        return;
    gnt_porch_stop(porch);
    gnt_timer_cancel(&porch->loop->timers, &porch->next);
    porch->loop = NULL;
}

static void turn_away(struct gnt_porch *porch, struct gnt_stream *stream,
                      struct gnt_tls_context **tls, const char *url, const char *reason)
{
    gnt_count(porch->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    log_refusal(stream, reason, url);
    gnt_tls_context_unref(tls);
    gnt_stream_close(&stream);
}

void gnt_porch_accept(struct gnt_porch *porch, struct gnt_stream *stream,
                      struct gnt_tls_context **tls, const char *url, gnt_porch_open *open,
                      void *context)
{
    uint64_t timeout = (uint64_t)porch->limits->engine.connect_timeout_ms * GNT_NS_PER_MS;
    uint64_t deadline = gnt_deadline(porch->loop->now, timeout);
    if (porch->stopping || porch->count >= porch->limits->connections_max) {
        turn_away(porch, stream, tls, url,
                  porch->stopping ? "shutting down" : "limits.connections");
        return;
    }
    struct guest *g = calloc(1, sizeof *g);
    if (g)
        g->timer.fire = on_timer;
    if (!g || gnt_loop_set_timer(porch->loop, &g->timer, deadline)) {
        free(g);
        turn_away(porch, stream, tls, url, gnt_err_text(GNT_NOMEM));
        return;
    }
    g->porch = porch;
    g->stream = stream;
    g->tls = *tls;
    *tls = NULL;
    g->url = url;
    g->open = open;
    g->context = context;
    gnt_list_init(&g->link);
    gnt_list_push_back(&porch->waiting, &g->link);
    porch->count++;
    stream->owner = g;
    stream->on_ready = on_ready;
    gnt_stream_want(stream, GNT_READABLE);
}

void gnt_porch_stop(struct gnt_porch *porch)
{
    porch->stopping = true;
    close_all(&porch->waiting);
    close_all(&porch->line);
    close_all(&porch->shaking);
}
