/* gnatter/mqtt_engine.h: the engine under its public name.  A gnatter_engine is a gnt_client. */
#include "client/mqtt/convert.h"

_Static_assert(GNATTER_NEVER == GNT_NEVER, "deadlines go through unchanged");

static struct gnt_client *inner(gnatter_engine *e)
{
    return (struct gnt_client *)(void *)e;
}

static const struct gnt_client *const_inner(const gnatter_engine *e)
{
    return (const struct gnt_client *)(const void *)e;
}

int gnatter_engine_new(const struct gnatter_mqtt_options *options, gnatter_engine **out)
{
    struct gnt_client *c;
    gnt_err err = gnt_convert_new(options, NULL, &c);
    if (!err)
        *out = (gnatter_engine *)(void *)c;
    return err;
}

void gnatter_engine_free(gnatter_engine *e)
{
    struct gnt_client *c = inner(e);
    gnt_client_free(&c);
}

int gnatter_engine_connect(gnatter_engine *e, uint64_t now)
{
    return gnt_client_connect(inner(e), now);
}

int gnatter_engine_connect_with(gnatter_engine *e, struct gnatter_bytes auth_data, uint64_t now)
{
    return gnt_client_connect_with(inner(e), gnt_slice(auth_data.data, auth_data.size), now);
}

int gnatter_engine_receive(gnatter_engine *e, const void *bytes, size_t size, uint64_t now)
{
    return gnt_client_receive(inner(e), gnt_slice(bytes, size), now);
}

bool gnatter_engine_hungry(const gnatter_engine *e)
{
    return gnt_client_hungry(const_inner(e));
}

bool gnatter_engine_next_event(gnatter_engine *e, uint64_t now, struct gnatter_engine_event *out)
{
    struct gnt_client_event event;
    if (!gnt_client_event(inner(e), now, &event))
        return false;
    gnt_convert_event(&event, out);
    return true;
}

struct gnatter_bytes gnatter_engine_output(const gnatter_engine *e)
{
    struct gnt_slice out = gnt_client_output(const_inner(e));
    return (struct gnatter_bytes){out.data, out.size};
}

void gnatter_engine_sent(gnatter_engine *e, size_t n, uint64_t now)
{
    gnt_client_sent(inner(e), n, now);
}

uint64_t gnatter_engine_deadline(const gnatter_engine *e)
{
    return gnt_client_deadline(const_inner(e));
}

void gnatter_engine_lost(gnatter_engine *e, int error)
{
    gnt_client_lost(inner(e), (gnt_err)error);
}

int gnatter_engine_disconnect(gnatter_engine *e, uint8_t reason,
                              const struct gnatter_property_list *properties)
{
    return gnt_convert_disconnect(inner(e), reason, properties);
}

int gnatter_engine_publish(gnatter_engine *e, const struct gnatter_message *message, void *user,
                           uint64_t now, uint64_t *token)
{
    return gnt_convert_publish(inner(e), message, user, now, token);
}

int gnatter_engine_subscribe(gnatter_engine *e, const struct gnatter_subscription *list,
                             size_t count, const struct gnatter_property_list *properties,
                             void *user, uint64_t *token)
{
    return gnt_convert_subscribe(inner(e), list, count, properties, user, token);
}

int gnatter_engine_unsubscribe(gnatter_engine *e, const char *const *filters, size_t count,
                               const struct gnatter_property_list *properties, void *user,
                               uint64_t *token)
{
    return gnt_convert_unsubscribe(inner(e), filters, count, properties, user, token);
}

int gnatter_engine_ack(gnatter_engine *e, uint64_t ack, uint8_t reason)
{
    return gnt_client_ack(inner(e), ack, reason);
}

int gnatter_engine_auth(gnatter_engine *e, uint8_t reason,
                        const struct gnatter_property_list *properties)
{
    return gnt_convert_auth(inner(e), reason, properties);
}

int gnatter_engine_cancel(gnatter_engine *e)
{
    return gnt_client_cancel(inner(e));
}

void gnatter_engine_get_status(const gnatter_engine *e, struct gnatter_engine_status *out)
{
    struct gnt_client_status s;
    gnt_client_status(const_inner(e), &s);
    *out = (struct gnatter_engine_status){
        .connected = s.connected,
        .session_present = s.session_present,
        .client_id = {s.client_id.data, s.client_id.size},
        .keep_alive_s = s.keep_alive_s,
        .outstanding = s.outstanding,
        .queued_messages = s.queued_messages,
        .queued_bytes = s.queued_bytes,
        .dropped = s.dropped,
        .refused = s.refused,
    };
}

int gnatter_engine_save(const gnatter_engine *e, uint64_t now, void *to, size_t cap, size_t *size)
{
    return gnt_client_save(const_inner(e), now, to, cap, size);
}

int gnatter_engine_restore(gnatter_engine *e, const void *bytes, size_t size, uint64_t now)
{
    return gnt_client_restore(inner(e), gnt_slice(bytes, size), now);
}
