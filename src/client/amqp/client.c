/* A connection as the program sees it: options, birth and end, waiting. */
#include "client/amqp/container.h"

#include "base/assert.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLOSE_MS = 5000 }; /* for a connection to be closed in order once it is not wanted */

/* What the engine takes from a peer beyond what the program says. */
enum {
    SESSIONS_MAX = 256,
    LINKS_MAX = 4096,
    UNSETTLED_MAX = 1 << 20,
    INCOMING_WINDOW = 2048,
    OVERDRAFT = 1000,     /* RabbitMQ's plugin sends as much as the credit too much, at times */
    FRAME_SIZE_MIN = 512, /* [AMQP 2.7.1] */
};

void gnatter_amqp_options_init_size(struct gnatter_amqp_options *options, size_t size)
{
    GNT_ASSERT(size == sizeof *options); /* compiled against another version's header */
    *options = (struct gnatter_amqp_options){
        .size = size,
        .url = "amqp://localhost",
        .max_frame_size = 64 * 1024,
        .idle_timeout_ms = 60 * 1000,
        .connect_timeout_ms = 30 * 1000,
        .queue_messages = 10000,
        .queue_bytes = 64 << 20,
        .message_max = 64 << 20,
        .reconnect_min_ms = 1000,
        .reconnect_max_ms = 60 * 1000,
    };
}

/* ---- The user in a URL */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* SIZE bytes of TEXT with %XX decoded; NULL, and *err why, if that cannot be. */
static char *unescape(const char *text, size_t size, gnt_err *err)
{
    char *out = malloc(size + 1), *to = out;
    *err = out ? GNT_OK : GNT_NOMEM;
    for (size_t i = 0; out && i < size; i++) {
        int high = -1, low = -1;
        if (text[i] == '%' && size - i > 2) {
            high = hex(text[i + 1]);
            low = hex(text[i + 2]);
        }
        bool bad = text[i] == '%' && (high < 0 || low < 0 || high + low == 0);
        if (bad)
            *err = GNT_INVALID;
        *to++ = text[i] == '%' ? (char)(high * 16 + low) : text[i];
        i += text[i] == '%' ? 2 : 0;
    }
    if (out)
        *to = '\0';
    if (*err == GNT_INVALID) {
        free(out);
        return NULL;
    }
    return out;
}

/* What a URL says beyond what conf/url.h reads. */
struct address {
    char *url; /* without the user */
    char *user, *password;
};

static void address_fini(struct address *a)
{
    free(a->url);
    free(a->user);
    if (a->password)
        gnt_scram_wipe((uint8_t *)a->password, strlen(a->password));
    free(a->password);
}

static gnt_err parse_user(const char *text, size_t size, struct address *a)
{
    gnt_err err = GNT_OK;
    const char *colon = memchr(text, ':', size);
    size_t user = colon ? (size_t)(colon - text) : size;
    a->user = unescape(text, user, &err);
    if (!err && colon)
        a->password = unescape(colon + 1, size - user - 1, &err);
    return err;
}

static gnt_err parse_address(const char *url, struct address *a)
{
    const char *place = strstr(url, "://");
    *a = (struct address){.url = strdup(url)};
    if (!a->url)
        return GNT_NOMEM;
    if (!place)
        return GNT_INVALID;
    place += 3;
    size_t size = strcspn(place, "/?#");
    const char *at = memrchr(place, '@', size);
    if (!at)
        return GNT_OK;
    strcpy(a->url + (place - url), at + 1);
    return parse_user(place, (size_t)(at - place), a);
}

/* ---- Birth and end */

static gnt_err check_options(const struct gnatter_amqp_options *o)
{
    bool good = o->size == sizeof *o && o->url && o->max_frame_size >= FRAME_SIZE_MIN &&
                o->connect_timeout_ms && o->queue_messages && o->queue_bytes &&
                o->reconnect_min_ms > 0 && o->reconnect_max_ms >= o->reconnect_min_ms;
    return good ? GNT_OK : GNT_INVALID;
}

/* Takes a copy of *TEXT into its place. */
static bool own(const char **text)
{
    if (!*text)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

static gnt_err own_texts(gnatter_amqp *c, const struct address *a)
{
    char made[32];
    struct gnatter_amqp_options *o = &c->options;
    (void)snprintf(made, sizeof made, "gnatter%016llx",
                   (unsigned long long)gnt_random_u64(&gnt_random_system));
    if (!o->user) {
        o->user = a->user;
        o->password = o->password ? o->password : a->password;
    }
    o->user = o->user && *o->user ? o->user : NULL;
    o->container_id = o->container_id ? o->container_id : made;
    o->hostname = o->hostname || c->dialer.link.file ? o->hostname : c->dialer.link.host;
    o->url = NULL;
    o->mechanism = NULL; /* c->mechanisms says it */
    const char **texts[] = {&o->user, &o->password, &o->container_id, &o->hostname};
    bool good = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (good)
            good = own(texts[i]);
        else
            *texts[i] = NULL;
    }
    return good ? GNT_OK : GNT_NOMEM;
}

static void set_terms(gnatter_amqp *c)
{
    const struct gnatter_amqp_options *o = &c->options;
    c->terms = (struct gnt_amqp_options){
        .container_id = gnt_slice_str(o->container_id),
        .max_frame_size = o->max_frame_size,
        .idle_timeout_ms = o->idle_timeout_ms,
        .open_timeout_ms = o->connect_timeout_ms,
        .sessions_max = SESSIONS_MAX,
        .links_max = LINKS_MAX,
        .unsettled_max = UNSETTLED_MAX,
        .incoming_window = INCOMING_WINDOW,
        .overdraft = OVERDRAFT,
    };
}

static gnt_err fill(gnatter_amqp *c, const struct gnatter_amqp_options *o)
{
    struct address a;
    gnt_err err = parse_address(o->url, &a);
    const struct gnt_link_target target = {.url = a.url,
                                           .kind = GNT_URL_AMQP,
                                           .protocol = "amqp",
                                           .tls = &o->tls,
                                           .transport = &o->transport,
                                           .on_trace = o->on_trace,
                                           .context = o->context};
    const struct gnt_dialer_terms terms = {.connect_timeout_ms = o->connect_timeout_ms,
                                           .min_ms = o->reconnect_min_ms,
                                           .max_ms = o->reconnect_max_ms,
                                           .no_reconnect = o->no_reconnect,
                                           .on_refusal = o->reconnect_on_refusal};
    gnt_list_init(&c->sessions);
    gnt_list_init(&c->deliveries);
    gnt_list_init(&c->news);
    gnt_list_init(&c->connected_news.in);
    gnt_list_init(&c->disconnected_news.in);
    gnt_outq_init(&c->out);
    if (!err)
        err = gnt_dialer_init(&c->dialer, &gnt_amqp_client_dialing, c->thread, &terms, &target);
    if (!err) {
        c->options = *o;
        err = own_texts(c, &a);
        set_terms(c);
    }
    if (!err) {
        struct gnatter_amqp_options asked = c->options;
        asked.mechanism = o->mechanism;
        err = gnt_amqp_login_options(&asked, &c->dialer.link, &c->mechanisms);
    }
    address_fini(&a);
    return err;
}

static void destroy(gnatter_amqp *c)
{
    char *password = (char *)(uintptr_t)c->options.password;
    if (password)
        gnt_scram_wipe((uint8_t *)password, strlen(password));
    free(password);
    free((void *)(uintptr_t)c->options.user);
    free((void *)(uintptr_t)c->options.container_id);
    free((void *)(uintptr_t)c->options.hostname);
    gnt_sasl_client_fini(&c->sasl);
    gnt_outq_fini(&c->out);
    gnt_buf_fini(&c->in);
    gnt_dialer_fini(&c->dialer);
    gnt_thread_fini(c->thread);
    free(c);
}

int gnatter_amqp_new(const struct gnatter_amqp_options *options, gnatter_amqp **out)
{
    gnt_err err = check_options(options);
    if (err)
        return err;
    gnatter_amqp *c = calloc(1, sizeof *c);
    if (!c)
        return GNT_NOMEM;
    c->thread = &c->own_thread;
    err = gnt_thread_init(c->thread);
    if (err) {
        free(c);
        return err;
    }
    err = fill(c, options);
    if (!err)
        err = gnt_thread_start(c->thread, gnt_amqp_client_run, c);
    if (err) {
        destroy(c);
        return err;
    }
    *out = c;
    return GNT_OK;
}

void gnt_amqp_client_free_session(gnatter_amqp_session *s)
{
    while (!gnt_list_empty(&s->ends))
        gnt_end_free(GNT_CONTAINER(s->ends.next, struct gnt_end, in_session));
    while (!gnt_list_empty(&s->transactions))
        gnt_transaction_free(
            GNT_CONTAINER(s->transactions.next, struct gnatter_amqp_transaction, in_session));
    gnt_list_remove(&s->in_amqp);
    free(s);
}

static void free_sessions(gnatter_amqp *c)
{
    while (!gnt_list_empty(&c->sessions))
        gnt_amqp_client_free_session(
            GNT_CONTAINER(c->sessions.next, struct gnatter_amqp_session, in_amqp));
    while (!gnt_list_empty(&c->deliveries))
        gnt_delivery_end(GNT_CONTAINER(c->deliveries.next, struct gnatter_amqp_delivery, in_amqp));
}

void gnatter_amqp_free(gnatter_amqp *c)
{
    if (!c)
        return;
    GNT_ASSERT(!gnt_thread_in_callback(c->thread));
    pthread_mutex_lock(&c->thread->lock);
    gnt_dialer_stop(&c->dialer, true);
    pthread_mutex_unlock(&c->thread->lock);
    pthread_join(c->thread->id, NULL);
    free_sessions(c);
    destroy(c);
}

/* ---- Shared */

void gnt_amqp_client_wake(gnatter_amqp *c)
{
    if (c->guest)
        gnt_guest_due(c->guest);
    gnt_thread_wake(c->thread);
}

void gnt_amqp_client_touch(gnatter_amqp *c)
{
    gnt_dialer_touch(&c->dialer);
    gnt_amqp_client_wake(c);
}

void gnt_amqp_client_news(gnatter_amqp *c, struct gnt_news *news, enum gnt_news_kind kind)
{
    news->kind = (uint8_t)kind;
    if (!gnt_list_linked(&news->in))
        gnt_list_push_back(&c->news, &news->in);
    pthread_cond_broadcast(&c->thread->changed);
}

void gnt_amqp_client_keep_text(struct gnt_slice text, char *out, size_t cap)
{
    size_t size = text.size < cap ? text.size : cap - 1;
    while (size < text.size && size && (text.data[size] & 0xc0) == 0x80)
        size--; /* not within a character */
    if (size)
        memcpy(out, text.data, size);
    out[size] = '\0';
}

void gnt_amqp_client_keep_error(struct gnt_slice encoded, struct gnatter_amqp_error *out)
{
    struct gnt_amqp_error error;
    out->condition[0] = out->description[0] = '\0';
    if (!encoded.size || gnt_amqp_decode_error(encoded, &error))
        return;
    gnt_amqp_client_keep_text(error.condition, out->condition, sizeof out->condition);
    if (error.has.description)
        gnt_amqp_client_keep_text(error.description, out->description, sizeof out->description);
}

/* ---- Connection */

int gnatter_amqp_start(gnatter_amqp *c)
{
    pthread_mutex_lock(&c->thread->lock);
    gnt_err err = gnt_dialer_start(&c->dialer);
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

int gnatter_amqp_connect(gnatter_amqp *c, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    int err = gnt_dialer_connect(&c->dialer, deadline);
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

static gnt_err flush(gnatter_amqp *c, uint64_t deadline)
{
    while (c->queued_messages) {
        if (gnt_dialer_at_rest(&c->dialer))
            return (gnt_err)gnt_dialer_why(&c->dialer);
        if (!gnt_thread_wait(c->thread, deadline))
            return GNT_TIMEOUT;
    }
    return GNT_OK;
}

int gnatter_amqp_close(gnatter_amqp *c, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    gnt_err drained = flush(c, deadline);
    gnt_dialer_stop(&c->dialer, false);
    gnt_dialer_settle(&c->dialer, gnt_thread_wait_deadline(CLOSE_MS));
    pthread_mutex_unlock(&c->thread->lock);
    return drained;
}

void gnatter_amqp_get_info(gnatter_amqp *c, struct gnatter_amqp_info *out)
{
    pthread_mutex_lock(&c->thread->lock);
    *out = (struct gnatter_amqp_info){
        .connected = c->dialer.connected,
        .error = c->dialer.error,
        .why = c->why,
        .peer_max_frame_size = c->has_engine ? c->engine.peer_max_frame_size : 0,
        .queued_messages = c->queued_messages,
        .queued_bytes = c->queued_bytes,
        .connections = c->dialer.connections,
    };
    gnt_amqp_client_keep_text(c->terms.container_id, out->container_id, sizeof out->container_id);
    memcpy(out->peer_container_id, c->peer, sizeof c->peer);
    if (c->sasl_begun)
        gnt_amqp_client_keep_text(gnt_slice_str(gnt_sasl_name(c->sasl.mechanism)), out->mechanism,
                                  sizeof out->mechanism);
    pthread_mutex_unlock(&c->thread->lock);
}

/* ---- Sessions */

gnt_err gnt_amqp_client_new_session(gnatter_amqp *c, gnatter_amqp_session **out)
{
    gnatter_amqp_session *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    s->amqp = c;
    gnt_list_init(&s->ends);
    gnt_list_init(&s->transactions);
    gnt_list_init(&s->in_amqp);
    gnt_list_push_back(&c->sessions, &s->in_amqp);
    *out = s;
    return GNT_OK;
}

gnt_err gnt_amqp_client_session(gnatter_amqp *c, gnatter_amqp_session **session)
{
    gnt_err err = GNT_OK;
    if (*session)
        return (*session)->amqp == c ? GNT_OK : GNT_INVALID;
    if (c->own && c->own->error)
        c->own = NULL; /* the peer has ended it */
    if (!c->own)
        err = gnt_amqp_client_new_session(c, &c->own);
    if (!err)
        *session = c->own;
    return err;
}

int gnatter_amqp_session_new(gnatter_amqp *c, gnatter_amqp_session **out)
{
    pthread_mutex_lock(&c->thread->lock);
    gnt_err err = gnt_amqp_client_new_session(c, out);
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

void gnatter_amqp_session_free(gnatter_amqp_session *s)
{
    if (!s)
        return;
    gnatter_amqp *c = s->amqp;
    if (s->coordinator)
        gnatter_amqp_sender_free(s->coordinator);
    pthread_mutex_lock(&c->thread->lock);
    if (s->engine) {
        s->engine->context = NULL;
        (void)!gnt_amqp_session_end(s->engine, NULL);
        s->engine = NULL;
        gnt_amqp_client_wake(c);
    }
    s->error = GNT_CLOSED; /* should it stay, it is not begun again */
    gnt_list_each_safe (node, &s->ends) {
        struct gnt_end *e = GNT_CONTAINER(node, struct gnt_end, in_session);
        gnt_end_detached(e);
        gnt_end_ended(e, (struct gnt_slice){0});
    }
    gnt_transactions_lost(s);
    gnt_list_remove(&s->in_amqp);
    bool used = !gnt_list_empty(&s->ends) || !gnt_list_empty(&s->transactions);
    if (used) /* against the rules: it is freed with the connection */
        gnt_list_push_back(&c->sessions, &s->in_amqp);
    pthread_mutex_unlock(&c->thread->lock);
    if (!used)
        free(s);
}
