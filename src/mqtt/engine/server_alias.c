#include "mqtt/engine/server_alias.h"

#include "base/hash.h"

#include <stdlib.h>

/* ---- From the client */

static gnt_err invalid(struct gnt_mqtt_server *s)
{
    s->reason = GNT_REASON_TOPIC_ALIAS_INVALID;
    return GNT_PROTOCOL;
}

gnt_err gnt_mqtt_alias_learn(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p)
{
    uint32_t alias = gnt_mqtt_number(&p->props, GNT_PROP_TOPIC_ALIAS, 0);
    if (alias == 0 || alias > s->options.aliases_in)
        return invalid(s);
    s->reason = GNT_REASON_UNSPECIFIED_ERROR;
    if (!s->aliases_in)
        s->aliases_in = calloc(s->options.aliases_in, sizeof *s->aliases_in);
    uint8_t *copy = s->aliases_in ? malloc(p->publish.topic.size) : NULL;
    if (!copy)
        return GNT_NOMEM;
    memcpy(copy, p->publish.topic.data, p->publish.topic.size);
    struct gnt_slice *place = &s->aliases_in[alias - 1];
    free((void *)(uintptr_t)place->data); /* the slice's bytes are the engine's own here */
    *place = gnt_slice(copy, p->publish.topic.size);
    return GNT_OK;
}

gnt_err gnt_mqtt_alias_recall(struct gnt_mqtt_server *s, struct gnt_mqtt_packet *p)
{
    uint32_t alias = gnt_mqtt_number(&p->props, GNT_PROP_TOPIC_ALIAS, 0);
    if (alias == 0 || alias > s->options.aliases_in)
        return invalid(s);
    struct gnt_slice topic = s->aliases_in ? s->aliases_in[alias - 1] : gnt_slice(NULL, 0);
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
    for (size_t i = 0; s->aliases_in && i < s->options.aliases_in; i++)
        free((void *)(uintptr_t)s->aliases_in[i].data);
    for (size_t i = 0; s->aliases_out && i < s->aliases_out_count; i++)
        free(s->aliases_out[i].topic);
    free(s->aliases_in);
    free(s->aliases_out);
    s->aliases_in = NULL;
    s->aliases_out = NULL;
}

uint16_t gnt_mqtt_alias_for(struct gnt_mqtt_server *s, struct gnt_slice topic, bool *known)
{
    *known = false;
    if (s->aliases_out_count == 0 || topic.size < SHORTEST_TOPIC)
        return 0;
    if (!s->aliases_out)
        s->aliases_out = calloc(s->aliases_out_count, sizeof *s->aliases_out);
    if (!s->aliases_out)
        return 0; /* an alias is a saving, not a need */
    uint64_t hash = gnt_hash(topic);
    uint16_t index = (uint16_t)(hash % s->aliases_out_count);
    struct gnt_mqtt_alias_out *a = &s->aliases_out[index];
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
    struct gnt_mqtt_alias_out *a = &s->aliases_out[alias - 1];
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
