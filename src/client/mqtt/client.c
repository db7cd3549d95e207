#include "client/mqtt/client.h"

#include "base/assert.h"
#include "base/random.h"
#include "client/mqtt/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOSE_MS = 5000 }; /* for a connection to be closed in order once it is not wanted */

/* ---- Options, birth and end */

void gnatter_client_options_init_size(struct gnatter_client_options *options, size_t size)
{
    GNT_ASSERT(size == sizeof *options); /* compiled against another version's header */
    *options = (struct gnatter_client_options){
        .size = size,
        .host = "localhost",
        .port = 1883,
        .reconnect_min_ms = 1000,
        .reconnect_max_ms = 60 * 1000,
    };
    gnatter_mqtt_options_init(&options->mqtt);
}

/* "gnatter0123456789abcdef" for the versions whose servers need not give an id: 23 letters and
 * digits are what every server takes [MQTT-3.1.3-5]. */
static const char *client_id(const struct gnatter_mqtt_options *o, char *made, size_t cap)
{
    bool has = o->client_id && *o->client_id;
    if (has || o->version == GNATTER_MQTT_5)
        return NULL;
    snprintf(made, cap, "gnatter%016llx", (unsigned long long)gnt_random_u64(&gnt_random_system));
    return made;
}

static gnt_err check_options(const struct gnatter_client_options *o)
{
    bool good = o->size == sizeof *o && (o->url || (o->host && *o->host)) &&
                o->reconnect_min_ms > 0 && o->reconnect_max_ms >= o->reconnect_min_ms;
    return good ? GNT_OK : GNT_INVALID;
}

static void destroy(gnatter_client *c)
{
    gnt_client_free(&c->engine);
    gnt_client_login_free(&c->login);
    gnt_dialer_fini(&c->dialer);
    gnt_thread_fini(&c->thread);
    free(c);
}

/* Where the client goes. */
static gnt_err set_target(gnatter_client *c, const struct gnatter_client_options *o)
{
    const struct gnt_link_target target = {.url = o->url,
                                           .kind = GNT_URL_MQTT,
                                           .protocol = "mqtt",
                                           .host = o->host,
                                           .port = o->port,
                                           .tls = &o->tls,
                                           .transport = &o->transport,
                                           .on_trace = o->on_trace,
                                           .context = o->context};
    const struct gnt_dialer_terms terms = {.connect_timeout_ms = o->mqtt.connect_timeout_ms,
                                           .min_ms = o->reconnect_min_ms,
                                           .max_ms = o->reconnect_max_ms,
                                           .no_reconnect = o->no_reconnect,
                                           .on_refusal = o->reconnect_on_refusal};
    c->options.host = c->options.url = NULL;
    return gnt_dialer_init(&c->dialer, &gnt_client_dialing, &c->thread, &terms, &target);
}

static gnt_err fill(gnatter_client *c, const struct gnatter_client_options *o)
{
    char made[32];
    c->options = *o;
    gnt_err err = set_target(c, o);
    struct gnatter_mqtt_options mqtt = o->mqtt;
    struct gnatter_property *props = NULL;
    if (!err && o->auth_method)
        err = gnt_client_login_new(o, &mqtt, &props, &c->login);
    if (!err)
        err = gnt_convert_new(&mqtt, client_id(&mqtt, made, sizeof made), &c->engine);
    free(props);
    return err;
}

int gnatter_client_new(const struct gnatter_client_options *options, gnatter_client **out)
{
    gnt_err err = check_options(options);
    if (err)
        return err;
    gnatter_client *c = calloc(1, sizeof *c);
    if (!c)
        return GNT_NOMEM;
    err = gnt_thread_init(&c->thread);
    if (err) {
        free(c);
        return err;
    }
    err = fill(c, options);
    if (!err)
        err = gnt_thread_start(&c->thread, gnt_client_run, c);
    if (err) {
        destroy(c);
        return err;
    }
    *out = c;
    return GNT_OK;
}

void gnatter_client_free(gnatter_client *c)
{
    if (!c)
        return;
    GNT_ASSERT(!gnt_thread_in_callback(&c->thread));
    pthread_mutex_lock(&c->thread.lock);
    gnt_dialer_stop(&c->dialer, true);
    pthread_mutex_unlock(&c->thread.lock);
    pthread_join(c->thread.id, NULL);
    destroy(c);
}

/* ---- Connection */

int gnatter_client_start(gnatter_client *c)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = gnt_dialer_start(&c->dialer);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

int gnatter_client_connect(gnatter_client *c, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    if (gnt_thread_in_callback(&c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread.lock);
    int err = gnt_dialer_connect(&c->dialer, deadline);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

/* With the lock. */
static gnt_err stop(gnatter_client *c, const struct gnatter_disconnect *how)
{
    gnt_err err = GNT_OK;
    if (c->dialer.state == GNT_LINK_UP) {
        err =
            gnt_convert_disconnect(c->engine, how ? how->reason : 0, how ? &how->properties : NULL);
        if (err == GNT_STATE) /* it has just ended by itself */
            err = GNT_OK;
    }
    if (!err)
        gnt_dialer_stop(&c->dialer, false);
    return err;
}

int gnatter_client_stop(gnatter_client *c, const struct gnatter_disconnect *how)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = stop(c, how);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

static size_t outstanding(const gnatter_client *c)
{
    struct gnt_client_status status;
    gnt_client_status(c->engine, &status);
    return status.outstanding;
}

static gnt_err flush(gnatter_client *c, uint64_t deadline)
{
    while (outstanding(c)) {
        if (gnt_dialer_at_rest(&c->dialer))
            return (gnt_err)gnt_dialer_why(&c->dialer);
        if (!gnt_thread_wait(&c->thread, deadline))
            return GNT_TIMEOUT;
    }
    return GNT_OK;
}

int gnatter_client_flush(gnatter_client *c, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    if (gnt_thread_in_callback(&c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = flush(c, deadline);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

int gnatter_client_disconnect(gnatter_client *c, const struct gnatter_disconnect *how,
                              uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    if (gnt_thread_in_callback(&c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread.lock);
    gnt_err drained = flush(c, deadline);
    gnt_err err = stop(c, how);
    if (!err)
        gnt_dialer_settle(&c->dialer, gnt_thread_wait_deadline(CLOSE_MS));
    pthread_mutex_unlock(&c->thread.lock);
    return err ? err : drained;
}

void gnatter_client_get_info(gnatter_client *c, struct gnatter_client_info *out)
{
    struct gnt_client_status s;
    pthread_mutex_lock(&c->thread.lock);
    gnt_client_status(c->engine, &s);
    *out = (struct gnatter_client_info){
        .connected = s.connected,
        .session_present = s.session_present,
        .error = c->dialer.error,
        .reason = c->reason,
        .keep_alive_s = s.keep_alive_s,
        .outstanding = s.outstanding,
        .queued_messages = s.queued_messages,
        .queued_bytes = s.queued_bytes,
        .dropped = s.dropped,
        .refused = s.refused,
        .connections = c->dialer.connections,
    };
    memcpy(out->reason_string, c->reason_string, sizeof out->reason_string);
    memcpy(out->server_reference, c->server_reference, sizeof out->server_reference);
    size_t size =
        s.client_id.size < sizeof out->client_id ? s.client_id.size : sizeof out->client_id - 1;
    if (size)
        memcpy(out->client_id, s.client_id.data, size);
    pthread_mutex_unlock(&c->thread.lock);
}

/* ---- Passed on to the engine */

int gnatter_client_ack(gnatter_client *c, uint64_t ack, uint8_t reason)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = gnt_client_ack(c->engine, ack, reason);
    gnt_thread_wake(&c->thread);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

int gnatter_client_reauthenticate(gnatter_client *c)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = gnt_client_login_again(c);
    if (!err)
        gnt_thread_wake(&c->thread);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

int gnatter_client_auth(gnatter_client *c, uint8_t reason,
                        const struct gnatter_property_list *properties)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = c->login ? GNT_INVALID : gnt_convert_auth(c->engine, reason, properties);
    gnt_thread_wake(&c->thread);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

int gnatter_client_save(gnatter_client *c, void *to, size_t cap, size_t *size)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = gnt_client_save(c->engine, gnt_now(&gnt_clock_system), to, cap, size);
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}

int gnatter_client_restore(gnatter_client *c, const void *bytes, size_t size)
{
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = gnt_client_restore(c->engine, gnt_slice(bytes, size), gnt_now(&gnt_clock_system));
    pthread_mutex_unlock(&c->thread.lock);
    return err;
}
