#include "model/address.h"

#include "model/entity_name.h"
#include "model/topic.h"

enum { WORDS_MAX = 4 };

/* What may stand behind an entity's name: words, with * for the group and + for the part. */
static const struct pattern {
    enum gnt_address_kind kind;
    bool nameless; /* the name in front may be missing, */
    bool alone;    /* or has to be */
    const char *words[WORDS_MAX + 1];
} patterns[] = {
    {GNT_ADDRESS_CBS, true, true, {"$cbs"}},
    {GNT_ADDRESS_MANAGEMENT, true, false, {"$management"}},
    {GNT_ADDRESS_PARTITION, false, false, {"ConsumerGroups", "*", "Partitions", "+"}},
    {GNT_ADDRESS_PARTITION, false, false, {"Partitions", "+"}},
    {GNT_ADDRESS_PUBLISHER, false, false, {"Publishers", "+"}},
    {GNT_ADDRESS_SUBSCRIPTION, false, false, {"Subscriptions", "+"}},
};

static const char *const servers[] = {"amqp://", "amqps://", "ws://", "wss://", "sb://"};

static const char dead_letter_queue[] = "/" GNT_DEAD_LETTERS;

static bool starts(struct gnt_slice text, const char *with)
{
    size_t size = strlen(with);
    return text.size >= size && gnt_entity_same(gnt_slice(text.data, size), gnt_slice_str(with));
}

static bool same(struct gnt_slice text, const char *word)
{
    return text.size == strlen(word) && starts(text, word);
}

static bool take_front(struct gnt_slice *text, const char *front)
{
    if (!starts(*text, front))
        return false;
    *text = gnt_slice_skip(*text, strlen(front));
    return true;
}

static bool take_back(struct gnt_slice *text, const char *back)
{
    size_t size = strlen(back);
    if (text->size < size || !same(gnt_slice_skip(*text, text->size - size), back))
        return false;
    text->size -= size;
    return true;
}

/* The last word of *text, which keeps what stands in front of its slash. */
static struct gnt_slice take_word(struct gnt_slice *text)
{
    size_t at = text->size;
    while (at > 0 && text->data[at - 1] != '/')
        at--;
    struct gnt_slice word = gnt_slice_skip(*text, at);
    text->size = at ? at - 1 : 0;
    return word;
}

static void skip_server(struct gnt_slice *text)
{
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        if (!take_front(text, servers[i]))
            continue;
        const uint8_t *slash = text->size ? memchr(text->data, '/', text->size) : NULL;
        *text = gnt_slice_skip(*text, slash ? (size_t)(slash - text->data) : text->size);
        break;
    }
    take_front(text, "/");
}

static bool fits(const struct pattern *p, struct gnt_slice text, struct gnt_address *out)
{
    struct gnt_address found = {.kind = p->kind};
    size_t count = 0;
    while (p->words[count])
        count++;
    while (count) {
        const char *expected = p->words[--count];
        struct gnt_slice word = take_word(&text);
        if (!word.size)
            return false;
        if (strcmp(expected, "*") == 0)
            found.group = word;
        else if (strcmp(expected, "+") == 0)
            found.part = word;
        else if (!same(word, expected))
            return false;
    }
    found.entity = text;
    *out = found;
    return text.size ? !p->alone : p->nameless;
}

static struct gnt_address behind_server(struct gnt_slice text)
{
    struct gnt_address out;
    skip_server(&text);
    bool dead_letter = take_back(&text, dead_letter_queue);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (!fits(&patterns[i], text, &out))
            continue;
        out.dead_letter = dead_letter;
        return out;
    }
    return (struct gnt_address){GNT_ADDRESS_ENTITY, .entity = text, .dead_letter = dead_letter};
}

/* Those that have a dead-letter queue, which has none of its own. */
static bool dead_letter_makes_sense(const struct gnt_address *a)
{
    struct gnt_slice entity = a->entity;
    bool has = a->kind == GNT_ADDRESS_ENTITY || a->kind == GNT_ADDRESS_QUEUE ||
               a->kind == GNT_ADDRESS_SUBSCRIPTION;
    return !a->dead_letter || (has && !take_back(&entity, dead_letter_queue));
}

static bool take_queue(struct gnt_slice *text)
{
    struct gnt_slice topic = *text;
    return take_front(text, "queue://") ||
           (take_front(&topic, "topic://") && gnt_topic_queue(topic, text));
}

gnt_err gnt_address_parse(struct gnt_slice text, struct gnt_address *out)
{
    struct gnt_address found = {.entity = text};
    if (take_queue(&found.entity)) {
        found.kind = GNT_ADDRESS_QUEUE;
        found.dead_letter = take_back(&found.entity, dead_letter_queue);
    } else if (take_front(&found.entity, "topic://")) {
        found.kind = GNT_ADDRESS_TOPIC;
    } else {
        found = behind_server(text);
    }
    bool named =
        found.entity.size || found.kind == GNT_ADDRESS_CBS || found.kind == GNT_ADDRESS_MANAGEMENT;
    if (!named || !dead_letter_makes_sense(&found))
        return GNT_INVALID;
    *out = found;
    return GNT_OK;
}
