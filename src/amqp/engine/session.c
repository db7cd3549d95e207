#include "amqp/engine/inside.h"

#include "base/assert.h"
#include "base/spare.h"

bool gnt_amqp_session_usable(const struct gnt_amqp_session *s)
{
    return !s->end_sent && gnt_amqp_talking(s->connection);
}

/* On the lowest channel that is free and below MAX, and that the peer takes. */
static gnt_err session_new(struct gnt_amqp_connection *c, uint32_t max,
                           struct gnt_amqp_session **out)
{
    uint32_t channel = gnt_amqp_table_free_place(&c->local);
    if (channel >= max || channel > c->peer_channel_max)
        return GNT_FULL;
    if (gnt_amqp_table_reserve(&c->local, channel))
        return GNT_NOMEM;
    struct gnt_amqp_session *s = gnt_spare_get(sizeof *s);
    if (!s)
        return GNT_NOMEM;
    *s = (struct gnt_amqp_session){.connection = c,
                                   .channel = (uint16_t)channel,
                                   .incoming_window = c->options->incoming_window};
    gnt_list_init(&s->links);
    gnt_list_init(&s->ghosts);
    gnt_list_init(&s->in_dirty);
    gnt_list_init(&s->dirty);
    gnt_list_init(&s->blocked);
    gnt_list_push_back(&c->sessions, &s->in_connection);
    gnt_amqp_table_set(&c->local, channel, s);
    *out = s;
    return GNT_OK;
}

static gnt_err say_begin(struct gnt_amqp_session *s)
{
    const struct gnt_amqp_options *o = s->connection->options;
    struct gnt_amqp_begin frame = {0};
    if (s->begin_seen)
        GNT_AMQP_SET(&frame, remote_channel, s->remote_channel);
    GNT_AMQP_SET(&frame, next_outgoing_id, s->next_outgoing_id);
    GNT_AMQP_SET(&frame, incoming_window, s->incoming_window);
    GNT_AMQP_SET(&frame, outgoing_window, GNT_AMQP_OUTGOING_WINDOW);
    GNT_AMQP_SET(&frame, handle_max, o->links_max - 1);
    GNT_AMQP_SET(&frame, properties, gnt_amqp_no_properties());
    return gnt_amqp_say(s->connection, s->channel, GNT_AMQP_BEGIN, &frame);
}

gnt_err gnt_amqp_session_begin(struct gnt_amqp_connection *c, struct gnt_amqp_session **out)
{
    if (!gnt_amqp_talking(c))
        return GNT_STATE;
    struct gnt_amqp_session *s;
    gnt_err err = session_new(c, c->options->sessions_max, &s);
    if (err)
        return err;
    err = say_begin(s);
    if (err)
        gnt_amqp_session_free(s);
    else
        *out = s;
    return err;
}

/* Takes over what the peer's begin says. */
static void begun(struct gnt_amqp_session *s, const struct gnt_amqp_begin *begin, uint16_t channel)
{
    s->remote_channel = channel;
    s->begin_seen = true;
    s->next_incoming_id = begin->next_outgoing_id;
    s->outgoing_window = begin->incoming_window;
    s->peer_handle_max = begin->handle_max;
    gnt_amqp_table_set(&s->connection->remote, channel, s);
}

/* The answer to a begin of ours. */
static gnt_err on_answer(struct gnt_amqp_connection *c, const struct gnt_amqp_begin *begin,
                         uint16_t channel, struct gnt_amqp_event *out)
{
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->local, begin->remote_channel);
    if (!s || s->begin_seen)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_INVALID_FIELD,
                             "a remote-channel on which nothing was begun");
    begun(s, begin, channel);
    if (s->end_sent)
        return GNT_MORE;
    s->answered = true;
    gnt_amqp_tell(out, GNT_AMQP_EVENT_BEGIN, s, NULL);
    return GNT_OK;
}

gnt_err gnt_amqp_on_begin(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                          struct gnt_amqp_event *out)
{
    const struct gnt_amqp_begin *begin = &out->performative.begin;
    if (gnt_amqp_over(begin->properties.encoded.size, c->options->properties_max))
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                             "too many bytes of properties");
    if (gnt_amqp_table_reserve(&c->remote, in->channel))
        return gnt_amqp_fail_nomem(c);
    if (in->channel >= c->channels_seen)
        c->channels_seen = (uint32_t)in->channel + 1;
    if (begin->has.remote_channel)
        return on_answer(c, begin, in->channel, out);
    struct gnt_amqp_session *s;
    gnt_err err = session_new(c, UINT16_MAX + 1, &s); /* the peer's channels bound it */
    if (err == GNT_FULL)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                             "no channel is left to answer a begin");
    if (err)
        return gnt_amqp_fail_nomem(c);
    begun(s, begin, in->channel);
    err = say_begin(s);
    if (err)
        return gnt_amqp_fail_nomem(c);
    s->answered = true;
    gnt_amqp_tell(out, GNT_AMQP_EVENT_BEGIN, s, NULL);
    return GNT_OK;
}

/* ---- The end */

static void free_links(struct gnt_list *links)
{
    while (!gnt_list_empty(links))
        gnt_amqp_link_free(GNT_CONTAINER(links->next, struct gnt_amqp_link, in_session));
}

static void free_inside(struct gnt_amqp_session *s)
{
    free_links(&s->links);
    free_links(&s->ghosts);
    gnt_map_fini(&s->names);
    gnt_amqp_table_fini(&s->local);
    gnt_amqp_table_fini(&s->remote);
    gnt_amqp_ids_fini(&s->sent);
    gnt_amqp_ids_fini(&s->received);
    gnt_list_remove(&s->in_dirty);
}

void gnt_amqp_session_free(struct gnt_amqp_session *s)
{
    struct gnt_amqp_connection *c = s->connection;
    free_inside(s);
    gnt_amqp_table_clear(&c->local, s->channel);
    if (s->begin_seen && gnt_amqp_table_at(&c->remote, s->remote_channel) == s)
        gnt_amqp_table_clear(&c->remote, s->remote_channel);
    gnt_list_remove(&s->in_connection);
    gnt_spare_put(s, sizeof *s);
}

void gnt_amqp_session_gone(struct gnt_amqp_session *s)
{
    if (s->ghost)
        free_inside(s);
    else
        gnt_amqp_session_free(s);
}

/* It ends with the event that is being told. */
static void end(struct gnt_amqp_session *s, struct gnt_amqp_event *out)
{
    gnt_amqp_tell(out, GNT_AMQP_EVENT_END, s, NULL);
    gnt_list_remove(&s->in_connection);
    gnt_list_push_back(&s->connection->ghosts, &s->in_connection);
    s->connection->gone_session = s;
}

static gnt_err say_end(struct gnt_amqp_session *s, const struct gnt_amqp_error *error)
{
    struct gnt_amqp_composite frame = {.code = GNT_AMQP_END};
    gnt_err err = gnt_amqp_say_last(s->connection, s->channel, GNT_AMQP_END, &frame, error);
    if (err)
        return err;
    s->end_sent = true;
    gnt_list_remove(&s->in_dirty);
    struct gnt_amqp_connection *c = s->connection;
    if (c->rest.session == s)
        c->rest.session = NULL;
    if (c->rest.link && c->rest.link->session == s)
        c->rest.link = NULL;
    return GNT_OK;
}

gnt_err gnt_amqp_session_end(struct gnt_amqp_session *s, const struct gnt_amqp_error *error)
{
    if (!gnt_amqp_session_usable(s))
        return GNT_STATE;
    gnt_err err = gnt_amqp_session_flush(s);
    return err ? err : say_end(s, error);
}

gnt_err gnt_amqp_session_fail(struct gnt_amqp_session *s, enum gnt_amqp_condition condition,
                              const char *why, struct gnt_amqp_event *out)
{
    struct gnt_amqp_error error = gnt_amqp_error_of(condition, why);
    gnt_err err = gnt_amqp_session_flush(s);
    if (!err)
        err = say_end(s, &error);
    if (err)
        return gnt_amqp_fail_nomem(s->connection);
    s->ghost = true;
    end(s, out);
    out->performative.code = 0;
    out->condition = condition;
    out->why = why;
    return GNT_OK;
}

gnt_err gnt_amqp_on_end(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                        struct gnt_amqp_event *out)
{
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    gnt_amqp_table_clear(&c->remote, in->channel);
    if (s->ghost) {
        gnt_amqp_session_free(s);
        return GNT_MORE;
    }
    if (!s->end_sent && say_end(s, NULL))
        return gnt_amqp_fail_nomem(c);
    end(s, out);
    return GNT_OK;
}

void gnt_amqp_session_dirty(struct gnt_amqp_session *s)
{
    if (!gnt_list_linked(&s->in_dirty))
        gnt_list_push_back(&s->connection->dirty, &s->in_dirty);
}
