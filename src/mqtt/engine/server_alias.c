#include "mqtt/engine/server_alias.h"

#include "base/hash.h"

#include <stdlib.h>

/* Both are as long as what may be used, and made when something is. */
struct gnt_mqtt_aliases {
    struct gnt_slice *in;           /* in_count topics that the client has set */
    struct gnt_mqtt_alias_out *out; /* server->aliases_out_count of them */
    uint16_t in_count;
};

/* NULL: no memory. */
static struct gnt_mqtt_aliases *aliases_of(struct gnt_mqtt_server *s)
{
    if (!s->aliases)
        s->aliases = calloc(1, sizeof *s->aliases);
    return s->aliases;
}

/* ---- From the client */

static gnt_err invalid(struct gnt_mqtt_server *s)
{
    s->reason = GNT_REASON_TOPIC_ALIAS_INVALID;
    return GNT_PROTOCOL;
}

/* Of all aliases that the client may set; NULL: no memory. */
static struct gnt_slice *topics_in(struct gnt_mqtt_server *s)
{
    struct gnt_mqtt_aliases *a = aliases_of(s);
    if (!a || a->in)
        return a ? a->in : NULL;
    a->in = calloc(s->options->aliases_in, sizeof *a->in);
    a->in_count = a->in ? s->options->aliases_in : 0;
    return a->in;
}

gnt_err gnt_mqtt_alias_learn(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p)
{
    uint32_t alias = gnt_mqtt_number(&p->props, GNT_PROP_TOPIC_ALIAS, 0);
    if (alias == 0 || alias > s->options->aliases_in)
        return invalid(s);
    s->reason = GNT_REASON_UNSPECIFIED_ERROR;
    struct gnt_slice *topics = topics_in(s);
    uint8_t *copy = topics ? malloc(p->publish.topic.size) : NULL;
    if (!copy)
        return GNT_NOMEM;
    memcpy(copy, p->publish.topic.data, p->publish.topic.size);
    struct gnt_slice *place = &topics[alias - 1];
    free((void *)(uintptr_t)place->data); /* the slice's bytes are the engine's own here */
    *place = gnt_slice(copy, p->publish.topic.size);
    return GNT_OK;
}

gnt_err gnt_mqtt_alias_recall(struct gnt_mqtt_server *s, struct gnt_mqtt_packet *p)
{
    uint32_t alias = gnt_mqtt_number(&p->props, GNT_PROP_TOPIC_ALIAS, 0);
    if (alias == 0 || alias > s->options->aliases_in)
        return invalid(s);
    bool any = s->aliases && s->aliases->in;
    struct gnt_slice topic = any ? s->aliases->in[alias - 1] : gnt_slice(NULL, 0);
    if (topic.size == 0) { /* never set: a protocol error [MQTT5 3.3.4] */
        s->reason = GNT_REASON_PROTOCOL_ERROR;
        return GNT_PROTOCOL;
    }
    p->publish.topic = topic;
    return GNT_OK;
}

/* ---- To the client: a topic's alias is its hash, so that finding it costs no search.  Where two
 * topics share one, the alias stays with the first as long as that is in use. */

enum {
    PATIENCE = 64, /* so many other topics wanted the alias since it was used last: it changes */
    SHORTEST_TOPIC = 6 /* an alias takes three bytes itself */
};

struct gnt_mqtt_alias_out {
    uint64_t hash; /* of the topic that the alias stands for */
    uint64_t next; /* of the one that gnt_mqtt_alias_for has proposed */
    uint8_t *topic;
    size_t size;
    const uint8_t *next_topic; /* lent until _sent */
    size_t next_size;
    uint32_t misses;
};

void gnt_mqtt_aliases_fini(struct gnt_mqtt_server *s)
{
    struct gnt_mqtt_aliases *a = s->aliases;
    s->aliases = NULL;
    if (!a)
        return;
    for (size_t i = 0; i < a->in_count; i++)
        free((void *)(uintptr_t)a->in[i].data);
    for (size_t i = 0; a->out && i < s->aliases_out_count; i++)
        free(a->out[i].topic);
    free(a->in);
    free(a->out);
    free(a);
}

uint16_t gnt_mqtt_alias_for(struct gnt_mqtt_server *s, struct gnt_slice topic, bool *known)
{
    *known = false;
    if (s->aliases_out_count == 0 || topic.size < SHORTEST_TOPIC)
        return 0;
    struct gnt_mqtt_aliases *aliases = aliases_of(s);
    if (aliases && !aliases->out)
        aliases->out = calloc(s->aliases_out_count, sizeof *aliases->out);
    if (!aliases || !aliases->out)
        return 0; /* an alias is a saving, not a need */
    uint64_t hash = gnt_hash(topic);
    uint16_t index = (uint16_t)(hash % s->aliases_out_count);
    struct gnt_mqtt_alias_out *a = &aliases->out[index];
    if (a->topic && a->hash == hash && gnt_slice_eq(gnt_slice(a->topic, a->size), topic)) {
        a->misses = 0;
        *known = true;
        return (uint16_t)(index + 1);
    }
    if (a->topic && ++a->misses < PATIENCE)
        return 0;
    a->next = hash;
    a->next_topic = topic.data;
    a->next_size = topic.size;
    return (uint16_t)(index + 1);
}

void gnt_mqtt_alias_sent(struct gnt_mqtt_server *s, uint16_t alias)
{
    struct gnt_mqtt_alias_out *a = &s->aliases->out[alias - 1];
    uint8_t *copy = malloc(a->next_size);
    free(a->topic);
    a->topic =
        copy; /* NULL: the client knows the alias and this side forgets it, which is harmless */
    a->misses = 0;
    if (!copy)
        return;
    memcpy(copy, a->next_topic, a->next_size);
    a->size = a->next_size;
    a->hash = a->next;
}
