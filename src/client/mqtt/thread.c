/* The client's thread: carries bytes between link and engine, calls back, connects again. */
#include "client/mqtt/client.h"

#include "base/assert.h"
#include "client/mqtt/convert.h"

#include <string.h>

enum {
    WORDS_MAX = 768, /* of a property of words of ours */
    CHUNK = 16 * 1024,
    READS_A_TURN = 16,
};

/* Refusals that the next attempt would only meet again [MQTT5 3.2.2.2, 3.14.2.1]. */
static bool lasting(uint8_t reason)
{
    static const uint8_t reasons[] = {
        GNT_REASON_UNSUPPORTED_VERSION,
        GNT_REASON_CLIENT_ID_NOT_VALID,
        GNT_REASON_BAD_USER_OR_PASSWORD,
        GNT_REASON_NOT_AUTHORIZED,
        GNT_REASON_BANNED,
        GNT_REASON_BAD_AUTH_METHOD,
        GNT_REASON_SESSION_TAKEN_OVER,
        GNT_REASON_TOPIC_NAME_INVALID,
        GNT_REASON_PACKET_TOO_LARGE,
        GNT_REASON_ADMINISTRATIVE_ACTION,
        GNT_REASON_PAYLOAD_FORMAT_INVALID,
        GNT_REASON_RETAIN_NOT_SUPPORTED,
        GNT_REASON_QOS_NOT_SUPPORTED,
        GNT_REASON_USE_ANOTHER_SERVER,
        GNT_REASON_SERVER_MOVED,
    };
    return memchr(reasons, reason, sizeof reasons) != NULL;
}

/* A connection or an attempt that is over. */
struct ending {
    int error;
    uint8_t reason;
    bool tls, lasting; /* it is TLS' trouble; the next attempt would only meet the same */
    struct gnatter_properties properties;
};

static gnatter_client *client_of(struct gnt_dialer *d)
{
    return GNT_CONTAINER(d, struct gnatter_client, dialer);
}

/* An impostor is one for good. */
static enum gnt_lasting how_lasting(const struct ending *e)
{
    if (e->error == GNT_DENIED && !e->tls)
        return GNT_LASTS_FOR_GOOD;
    return e->lasting || lasting(e->reason) ? GNT_LASTS : GNT_LASTS_NOT;
}

/* Else there is nobody to tell. */
static bool lingers(int error)
{
    return error == 0 || error == GNT_PROTOCOL || error == GNT_MALFORMED || error == GNT_TOOBIG;
}

/* OUT has CAP bytes. */
static void keep_text(struct gnatter_properties properties, uint8_t id, char *out, size_t cap)
{
    struct gnatter_property p;
    out[0] = '\0';
    if (!gnatter_properties_find(properties, id, &p))
        return;
    size_t size = p.text.size < cap ? p.text.size : cap - 1;
    while (size < p.text.size && size && (((const uint8_t *)p.text.data)[size] & 0xc0) == 0x80)
        size--; /* not within a character */
    memcpy(out, p.text.data, size);
    out[size] = '\0';
}

static void keep_words(gnatter_client *c, struct gnatter_properties properties)
{
    keep_text(properties, GNATTER_REASON_STRING, c->reason_string, sizeof c->reason_string);
    keep_text(properties, GNATTER_SERVER_REFERENCE, c->server_reference,
              sizeof c->server_reference);
}

/* What comes next, and telling of it. */
static void ended(gnatter_client *c, const struct ending *e)
{
    struct gnatter_disconnected told = {
        .error = e->error,
        .reason = e->reason,
        .was_connected = c->dialer.connected,
        .tls = e->tls,
        .properties = e->properties,
    };
    const struct gnt_retry retry =
        gnt_dialer_ended(&c->dialer,
                         &(struct gnt_ending){e->error, how_lasting(e), lingers(e->error)});
    told.will_reconnect = retry.again;
    told.retry_in_ms = retry.in_ms;
    c->reason = e->reason;
    keep_words(c, e->properties);
    if (c->options.on_disconnected) {
        pthread_mutex_unlock(&c->thread.lock);
        c->options.on_disconnected(c, &told, c->options.context);
        pthread_mutex_lock(&c->thread.lock);
    }
}

/* WORDS as the properties of a server's that says so; OUT has room for them. */
static struct gnatter_properties as_properties(const char *words, uint8_t out[WORDS_MAX])
{
    size_t size = strlen(words);
    if (!size || size > WORDS_MAX - 3)
        return (struct gnatter_properties){NULL, 0};
    out[0] = GNATTER_REASON_STRING;
    out[1] = (uint8_t)(size >> 8);
    out[2] = (uint8_t)size;
    memcpy(out + 3, words, size);
    return (struct gnatter_properties){out, 3 + size};
}

static void failed(struct gnt_dialer *d, const struct gnt_link_trouble *trouble)
{
    uint8_t words[WORDS_MAX];
    const struct ending e = {.error = trouble->err,
                             .tls = trouble->tls,
                             .lasting = trouble->lasting,
                             .properties = as_properties(trouble->words, words)};
    ended(client_of(d), &e);
}

/* ---- Events of the engine */

static void on_connected(gnatter_client *c, const struct gnatter_engine_event *event)
{
    const struct gnatter_connected connected = {
        .session_present = event->session_present,
        .properties = event->properties,
    };
    c->reason = 0;
    c->reason_string[0] = c->server_reference[0] = '\0';
    gnt_dialer_connected(&c->dialer);
    if (c->options.on_connected) {
        pthread_mutex_unlock(&c->thread.lock);
        c->options.on_connected(c, &connected, c->options.context);
        pthread_mutex_lock(&c->thread.lock);
    }
}

/* A server that wants a better certificate may say so only when the client is through with its part
 * of the handshake. */
static void on_closed(gnatter_client *c, const struct gnatter_engine_event *event)
{
    struct gnt_link_trouble trouble;
    uint8_t words[WORDS_MAX];
    gnt_link_trouble(&c->dialer.link, (gnt_err)event->error, &trouble);
    bool said = event->reason || event->properties.size;
    const struct ending e = {.error = trouble.err,
                             .reason = event->reason,
                             .tls = trouble.tls,
                             .lasting = trouble.lasting,
                             .properties =
                                 said ? event->properties : as_properties(trouble.words, words)};
    if (!gnt_dialer_next_address(&c->dialer, &trouble))
        ended(c, &e);
}

static void on_message(gnatter_client *c, const struct gnatter_engine_event *event)
{
    if (!c->options.on_message)
        return;
    pthread_mutex_unlock(&c->thread.lock);
    c->options.on_message(c, &event->message, c->options.context);
    pthread_mutex_lock(&c->thread.lock);
}

static void on_auth(gnatter_client *c, const struct gnatter_engine_event *event)
{
    if (!c->options.on_auth)
        return;
    pthread_mutex_unlock(&c->thread.lock);
    c->options.on_auth(c, event->reason, event->properties, c->options.context);
    pthread_mutex_lock(&c->thread.lock);
}

static void dispatch(gnatter_client *c, const struct gnt_client_event *inner)
{
    struct gnatter_engine_event event;
    gnt_convert_event(inner, &event);
    switch (inner->type) {
    case GNT_CLIENT_CONNECTED:
        if (gnt_client_login_proved(c, inner->props))
            on_connected(c, &event);
        break;
    case GNT_CLIENT_CLOSED: on_closed(c, &event); break;
    case GNT_CLIENT_MESSAGE: on_message(c, &event); break;
    case GNT_CLIENT_DONE: gnt_request_complete(c, &event); break;
    case GNT_CLIENT_AUTH:
        if (c->login && event.reason)
            gnt_client_login_answer(c, inner->props);
        else if (gnt_client_login_proved(c, inner->props))
            on_auth(c, &event);
        break;
    }
}

static void take_events(gnatter_client *c)
{
    struct gnt_client_event event;
    while (gnt_client_event(c->engine, gnt_now(&gnt_clock_system), &event))
        dispatch(c, &event);
}

/* ---- Bytes */

/* Writes what the engine has; GNT_MORE: some is left. */
static gnt_err write_out(gnatter_client *c)
{
    for (;;) {
        struct gnt_slice out = gnt_client_output(c->engine);
        if (out.size == 0)
            return GNT_OK;
        /* iovec's base is not const, though writev only reads. */
        const struct iovec iov = {(void *)(uintptr_t)out.data, out.size};
        size_t n = 0;
        gnt_err err = gnt_link_writev(&c->dialer.link, &iov, 1, &n);
        if (err)
            return err;
        gnt_client_sent(c->engine, n, gnt_now(&gnt_clock_system));
    }
}

static gnt_err read_in(gnatter_client *c)
{
    uint8_t chunk[CHUNK];
    size_t n = 0;
    gnt_err err = gnt_link_read(&c->dialer.link, chunk, sizeof chunk, &n);
    if (err)
        return err;
    c->dialer.heard = true;
    return gnt_client_receive(c->engine, gnt_slice(chunk, n), gnt_now(&gnt_clock_system));
}

/* Writing has failed.  What the server has said before it closed is worth more than that it has;
 * the loop may not have heard of it yet, and has one more turn for that. */
static void give_up(gnatter_client *c, gnt_err in, gnt_err out)
{
    while (in == GNT_OK && c->dialer.state == GNT_LINK_UP && gnt_client_hungry(c->engine)) {
        in = read_in(c);
        take_events(c);
    }
    if (in == GNT_MORE && !c->broken) {
        c->broken = c->thread.asked = true;
        return;
    }
    gnt_client_lost(c->engine, in < 0 ? in : out);
    take_events(c);
}

/* While the engine is connected: in, act, out, until nothing more is possible now. */
static void carry(gnatter_client *c)
{
    gnt_err in = GNT_OK;
    for (int i = 0; i < READS_A_TURN && c->dialer.state == GNT_LINK_UP && !in; i++) {
        in = gnt_client_hungry(c->engine) ? read_in(c) : GNT_MORE;
        if (in < 0)
            gnt_client_lost(c->engine, in);
        take_events(c);
        if (c->dialer.state != GNT_LINK_UP)
            return;
        gnt_err out = write_out(c);
        if (out < 0) {
            give_up(c, in, out);
            return;
        }
    }
}

/* ---- The dialer's part, and the thread */

static gnt_err opened(struct gnt_dialer *d)
{
    gnatter_client *c = client_of(d);
    c->broken = false;
    gnt_err err = gnt_client_login_connect(c, gnt_now(&gnt_clock_system));
    if (!err)
        d->deadline = GNT_NEVER; /* the engine's clock goes on with it */
    return err;
}

static void carry_on(struct gnt_dialer *d)
{
    carry(client_of(d));
}

static void leave(struct gnt_dialer *d)
{
    (void)!gnt_client_disconnect(client_of(d)->engine, 0, NULL);
}

static gnt_err write_rest(struct gnt_dialer *d)
{
    return write_out(client_of(d));
}

const struct gnt_dialer_ops gnt_client_dialing = {
    .opened = opened, .carry = carry_on, .leave = leave, .write = write_rest, .failed = failed};

static uint64_t engine_deadline(const gnatter_client *c)
{
    return c->dialer.state == GNT_LINK_UP ? gnt_client_deadline(c->engine) : GNT_NEVER;
}

void *gnt_client_run(void *client)
{
    gnatter_client *c = client;
    gnt_thread_enter(&c->thread);
    pthread_mutex_lock(&c->thread.lock);
    for (;;) {
        c->thread.asked =
            false; /* callbacks let go of the lock: what is asked meanwhile comes next turn */
        gnt_dialer_step(&c->dialer);
        if (c->dialer.state != GNT_LINK_UP)
            take_events(c); /* what was dropped or cancelled meanwhile */
        if (c->dialer.quit && gnt_dialer_at_rest(&c->dialer))
            break;
        gnt_dialer_want(&c->dialer, gnt_client_output(c->engine).size > 0,
                        gnt_client_hungry(c->engine));
        gnt_thread_turn(&c->thread, gnt_dialer_wait_ns(&c->dialer, engine_deadline(c)));
    }
    /* Nobody is left to ask for more: what is outstanding will not be answered. */
    gnt_err err = gnt_client_cancel(c->engine);
    GNT_ASSERT(err == GNT_OK);
    take_events(c);
    pthread_mutex_unlock(&c->thread.lock);
    return NULL;
}
