/* The client's thread: carries bytes between link and engine, calls back, connects again. */
#include "client/mqtt/client.h"

#include "base/assert.h"
#include "client/mqtt/convert.h"

#include <string.h>

enum {
    WORDS_MAX = 768, /* of a property of words of ours */
    CHUNK = 16 * 1024,
    READS_A_TURN = 16,
    FLUSH_MS = 2000,  /* for the last output of a connection, DISCONNECT and all */
    STEADY_MS = 5000, /* a connection that lasted so long was a success */
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

static bool will_reconnect(const gnatter_client *c, const struct ending *e)
{
    bool for_good = e->lasting || lasting(e->reason);
    bool impostor = e->error == GNT_DENIED && !e->tls;
    return e->error && c->wanted && !c->once && !c->options.no_reconnect && !impostor &&
           (c->options.reconnect_on_refusal || !for_good);
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

static uint32_t back_off_ms(gnatter_client *c)
{
    return gnt_back_off_ms(c->options.reconnect_min_ms, c->options.reconnect_max_ms, c->failures++);
}

/* What comes next, and telling of it. */
static void ended(gnatter_client *c, const struct ending *e, uint64_t now)
{
    if (c->was_connected && now - c->connected_at >= STEADY_MS * GNT_NS_PER_MS)
        c->failures = 0;
    const bool again = will_reconnect(c, e);
    struct gnatter_disconnected told = {
        .error = e->error,
        .reason = e->reason,
        .was_connected = c->was_connected,
        .tls = e->tls,
        .will_reconnect = again,
        .retry_in_ms = again ? back_off_ms(c) : 0,
        .properties = e->properties,
    };
    c->error = e->error;
    c->reason = e->reason;
    keep_words(c, e->properties);
    if (!again && e->error)
        c->wanted = false;
    c->once = false;
    c->was_connected = false;
    c->deadline = again ? gnt_deadline(now, told.retry_in_ms * GNT_NS_PER_MS) : GNT_NEVER;
    /* The stream stays for the last output: see closing(). */
    c->flush_from = now;
    c->state = c->link.stream ? GNT_LINK_CLOSING : again ? GNT_LINK_WAITING : GNT_LINK_DOWN;
    c->endings++;
    pthread_cond_broadcast(&c->thread.changed);
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

static void attempt_failed(gnatter_client *c, gnt_err err, uint64_t now)
{
    struct gnt_link_trouble trouble;
    uint8_t words[WORDS_MAX];
    gnt_link_trouble(&c->link, err, &trouble);
    gnt_link_abandon(&c->link);
    const struct ending e = {.error = trouble.err,
                             .tls = trouble.tls,
                             .lasting = trouble.lasting,
                             .properties = as_properties(trouble.words, words)};
    ended(c, &e, now);
}

/* ---- Events of the engine */

static void on_connected(gnatter_client *c, const struct gnatter_engine_event *event, uint64_t now)
{
    const struct gnatter_connected connected = {
        .session_present = event->session_present,
        .properties = event->properties,
    };
    c->was_connected = true;
    c->connected_at = now;
    c->connections++;
    c->once = false;
    c->error = 0;
    c->reason = 0;
    c->reason_string[0] = c->server_reference[0] = '\0';
    c->deadline = GNT_NEVER;
    pthread_cond_broadcast(&c->thread.changed);
    if (c->options.on_connected) {
        pthread_mutex_unlock(&c->thread.lock);
        c->options.on_connected(c, &connected, c->options.context);
        pthread_mutex_lock(&c->thread.lock);
    }
}

static void opening_begins(gnatter_client *c)
{
    c->state = GNT_LINK_OPENING;
    c->was_connected = c->heard = c->broken = false;
}

static gnt_err next_address(gnatter_client *c)
{
    gnt_err err = gnt_link_next_address(&c->link);
    if (!err)
        opening_begins(c);
    return err;
}

/* A host has several addresses, and this one has not said a word: the next one may. */
static bool try_next_address(gnatter_client *c, const struct gnt_link_trouble *trouble)
{
    bool mute = trouble->err && !trouble->tls && !c->heard && c->wanted && c->link.next_address;
    if (!mute)
        return false;
    gnt_link_close(&c->link);
    return next_address(c) == GNT_OK;
}

/* A server that wants a better certificate may say so only when the client is through with its part
 * of the handshake. */
static void on_closed(gnatter_client *c, const struct gnatter_engine_event *event, uint64_t now)
{
    struct gnt_link_trouble trouble;
    uint8_t words[WORDS_MAX];
    gnt_link_trouble(&c->link, (gnt_err)event->error, &trouble);
    bool said = event->reason || event->properties.size;
    const struct ending e = {.error = trouble.err,
                             .reason = event->reason,
                             .tls = trouble.tls,
                             .lasting = trouble.lasting,
                             .properties =
                                 said ? event->properties : as_properties(trouble.words, words)};
    if (!try_next_address(c, &trouble))
        ended(c, &e, now);
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

static void dispatch(gnatter_client *c, const struct gnt_client_event *inner, uint64_t now)
{
    struct gnatter_engine_event event;
    gnt_convert_event(inner, &event);
    switch (inner->type) {
    case GNT_CLIENT_CONNECTED:
        if (gnt_client_login_proved(c, inner->props))
            on_connected(c, &event, now);
        break;
    case GNT_CLIENT_CLOSED: on_closed(c, &event, now); break;
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
    for (;;) {
        uint64_t now = gnt_now(&gnt_clock_system);
        if (!gnt_client_event(c->engine, now, &event))
            return;
        dispatch(c, &event, now);
    }
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
        gnt_err err = gnt_link_writev(&c->link, &iov, 1, &n);
        if (err)
            return err;
        gnt_client_sent(c->engine, n, gnt_now(&gnt_clock_system));
    }
}

static gnt_err read_in(gnatter_client *c)
{
    uint8_t chunk[CHUNK];
    size_t n = 0;
    gnt_err err = gnt_link_read(&c->link, chunk, sizeof chunk, &n);
    if (err)
        return err;
    c->heard = true;
    return gnt_client_receive(c->engine, gnt_slice(chunk, n), gnt_now(&gnt_clock_system));
}

/* Writing has failed.  What the server has said before it closed is worth more than that it has;
 * the loop may not have heard of it yet, and has one more turn for that. */
static void give_up(gnatter_client *c, gnt_err in, gnt_err out)
{
    while (in == GNT_OK && c->state == GNT_LINK_UP && gnt_client_hungry(c->engine)) {
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
    for (int i = 0; i < READS_A_TURN && c->state == GNT_LINK_UP && !in; i++) {
        in = gnt_client_hungry(c->engine) ? read_in(c) : GNT_MORE;
        if (in < 0)
            gnt_client_lost(c->engine, in);
        take_events(c);
        if (c->state != GNT_LINK_UP)
            return;
        gnt_err out = write_out(c);
        if (out < 0) {
            give_up(c, in, out);
            return;
        }
    }
}

/* ---- The link, step by step */

static void begin(gnatter_client *c, uint64_t now)
{
    uint32_t timeout_ms = c->options.mqtt.connect_timeout_ms;
    c->deadline = timeout_ms ? gnt_deadline(now, timeout_ms * GNT_NS_PER_MS) : GNT_NEVER;
    c->state = GNT_LINK_RESOLVING; /* what is asked for meanwhile is seen afterwards */
    pthread_mutex_unlock(&c->thread.lock);
    gnt_err err = gnt_link_prepare(&c->link);
    pthread_mutex_lock(&c->thread.lock);
    if (!err)
        err = gnt_link_open(&c->link);
    if (!err)
        opening_begins(c);
    else if (err < 0)
        attempt_failed(c, err, now);
}

static void resolving(gnatter_client *c, uint64_t now)
{
    gnt_err err;
    if (!gnt_link_resolved(&c->link, &err))
        return;
    if (!err)
        err = next_address(c);
    if (err)
        attempt_failed(c, err == GNT_NOTFOUND ? GNT_RESOLVE : err, now);
}

static void opening(gnatter_client *c, uint64_t now)
{
    gnt_err err = gnt_link_opened(&c->link);
    if (err == GNT_MORE)
        return;
    if (!err)
        err = gnt_client_login_connect(c, now);
    if (!err) {
        c->state = GNT_LINK_UP;
        return;
    }
    struct gnt_link_trouble trouble;
    gnt_link_trouble(&c->link, err, &trouble);
    if (!try_next_address(c, &trouble))
        attempt_failed(c, err, now);
}

static void closing(gnatter_client *c, uint64_t now)
{
    bool wait = c->error == 0 || c->error == GNT_PROTOCOL || c->error == GNT_MALFORMED ||
                c->error == GNT_TOOBIG; /* else there is nobody to tell */
    uint64_t flush_until = gnt_deadline(c->flush_from, FLUSH_MS * GNT_NS_PER_MS);
    if (wait && now < flush_until && (write_out(c) == GNT_MORE || !gnt_link_finish(&c->link)))
        return;
    gnt_link_abandon(&c->link);
    c->state = c->deadline == GNT_NEVER ? GNT_LINK_DOWN : GNT_LINK_WAITING;
    pthread_cond_broadcast(&c->thread.changed);
}

static void not_wanted(gnatter_client *c, uint64_t now)
{
    if (c->state == GNT_LINK_WAITING) {
        c->state = GNT_LINK_DOWN;
        pthread_cond_broadcast(&c->thread.changed);
    } else if (c->state == GNT_LINK_RESOLVING || c->state == GNT_LINK_OPENING) {
        attempt_failed(c, GNT_OK, now);
    } else if (c->state == GNT_LINK_UP) {
        (void)!gnt_client_disconnect(c->engine, 0, NULL);
    }
}

static void step(gnatter_client *c)
{
    uint64_t now = gnt_now(&gnt_clock_system);
    gnt_link_look(&c->link);
    if (!c->wanted)
        not_wanted(c, now);
    bool late = c->deadline <= now;
    if (c->state == GNT_LINK_DOWN && c->wanted)
        begin(c, now);
    else if (c->state == GNT_LINK_WAITING && late)
        begin(c, now);
    else if ((c->state == GNT_LINK_RESOLVING || c->state == GNT_LINK_OPENING) && late)
        attempt_failed(c, GNT_TIMEOUT, now);
    if (c->state == GNT_LINK_RESOLVING)
        resolving(c, now);
    if (c->state == GNT_LINK_OPENING)
        opening(c, now);
    if (c->state == GNT_LINK_UP)
        carry(c);
    else
        take_events(c); /* what was dropped or cancelled meanwhile */
    if (c->state == GNT_LINK_CLOSING)
        closing(c, gnt_now(&gnt_clock_system));
}

/* What the stream has to wake us for. */
static void want(gnatter_client *c)
{
    if (!c->link.stream)
        return;
    unsigned events = 0;
    if (c->state == GNT_LINK_OPENING || gnt_client_output(c->engine).size)
        events |= GNT_WRITABLE;
    if (c->state == GNT_LINK_CLOSING || (c->state == GNT_LINK_UP && gnt_client_hungry(c->engine)))
        events |= GNT_READABLE;
    gnt_stream_want(c->link.stream, (uint8_t)events);
}

static uint64_t wait_ns(const gnatter_client *c)
{
    uint64_t next = c->state == GNT_LINK_UP ? gnt_client_deadline(c->engine) : c->deadline;
    if (c->state == GNT_LINK_CLOSING)
        next = gnt_deadline(c->flush_from, FLUSH_MS * GNT_NS_PER_MS);
    if (next == GNT_NEVER)
        return GNT_NEVER;
    uint64_t now = gnt_now(&gnt_clock_system);
    return next > now ? next - now : 0;
}

void *gnt_client_run(void *client)
{
    gnatter_client *c = client;
    gnt_thread_enter(&c->thread);
    pthread_mutex_lock(&c->thread.lock);
    for (;;) {
        c->thread.asked =
            false; /* callbacks let go of the lock: what is asked meanwhile comes next turn */
        step(c);
        if (c->quit && c->state == GNT_LINK_DOWN && !c->wanted)
            break;
        want(c);
        bool more = c->thread.asked || (c->state == GNT_LINK_DOWN && c->wanted);
        uint64_t wait = more ? 0 : wait_ns(c);
        gnt_thread_turn(&c->thread, wait);
    }
    /* Nobody is left to ask for more: what is outstanding will not be answered. */
    gnt_err err = gnt_client_cancel(c->engine);
    GNT_ASSERT(err == GNT_OK);
    take_events(c);
    pthread_mutex_unlock(&c->thread.lock);
    return NULL;
}
