#include "front/amqp/management.h"

#include "amqp/codec/message.h"
#include "base/utf8.h"
#include "core/queue.h"
#include "model/address.h"
#include "front/amqp/management_words.h"
#include "mapping/mapping.h"
#include "model/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { WHY_MAX = 160, SHOWN_MAX = 80 };

struct managing;

/* What an operation does; `begin` ends in answer(), at once or later. */
struct operation {
    const char *word;
    void (*begin)(struct managing *m);
    void (*put_body)(struct gnt_amqp_writer *w, const struct managing *m);
    enum gnt_entity_verb verb;
    int status; /* when it is done */
    bool named;
};

/* One request, until its answer is where it belongs. */
struct managing {
    struct gnt_home *home;
    gnt_managed *done;
    void *context;
    struct gnt_rights *rights; /* counted */
    const struct operation *operation;
    /* The request; the slices are of these bytes. */
    uint8_t *bytes;
    struct gnt_slice reply_to, name;
    struct gnt_amqp_value correlation, body;
    /* What it asks the core for. */
    struct gnt_entity_asking asking;
    struct gnt_entity_listing listing;
    struct gnt_queue_options options;
    struct gnt_slice bind[GNT_MANAGEMENT_BIND_MAX];
    unsigned columns[GNT_ATTRIBUTES]; /* of QUERY, */
    unsigned column_count;
    /* The answer. */
    int status;
    char why[WHY_MAX];
    struct gnt_sending sending;
};

static void managing_free(struct managing *m)
{
    gnt_rights_unref(&m->rights);
    gnt_entity_listing_fini(&m->listing);
    gnt_message_unref(&m->sending.message);
    gnt_buf_fini(&m->asking.bound);
    free(m->bytes);
    free(m);
}

static void finish(struct managing *m)
{
    struct gnt_home *home = m->home;
    gnt_managed *done = m->done;
    void *context = m->context;
    managing_free(m);
    done(home, context);
}

/* ---- The answer's way: the queue is looked for, and sent to */

static void on_sent(struct gnt_home *home, struct gnt_sending *sending,
                    enum gnt_queue_result result)
{
    (void)home, (void)result;
    finish(GNT_CONTAINER(sending, struct managing, sending));
}

/* What was made for replies alone is whoever's who knows its name. */
static bool may_send(const struct managing *m)
{
    return m->asking.facts.temporary || gnt_rights_may(m->rights, GNT_VERB_SEND, m->reply_to);
}

static void on_reply_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                           enum gnt_queue_result result)
{
    struct managing *m = GNT_CONTAINER(asking, struct managing, asking);
    if (result != GNT_QUEUE_DONE || !m->sending.message || !may_send(m)) {
        finish(m);
        return;
    }
    m->sending.done = on_sent;
    m->sending.priority = GNT_QUEUE_PRIORITY_DEFAULT;
    gnt_queue_send(home, asking->facts.id, &m->sending);
}

static void put_status(struct gnt_amqp_writer *w, const struct managing *m)
{
    const struct gnt_amqp_value code = gnt_amqp_integer(GNT_AMQP_INT, m->status);
    size_t mark = gnt_amqp_begin_section(w, GNT_AMQP_APPLICATION_PROPERTIES);
    gnt_amqp_put_string(w, gnt_slice_str("statusCode"));
    gnt_amqp_put_value(w, &code);
    gnt_amqp_put_string(w, gnt_slice_str("statusDescription"));
    gnt_amqp_put_string(w, gnt_slice_str(m->why));
    gnt_amqp_end_map(w, mark, 4);
}

static void put_nothing(struct gnt_amqp_writer *w, const struct managing *m)
{
    (void)m;
    gnt_amqp_end_map(w, gnt_amqp_begin_map(w), 0);
}

static void put_answer(struct gnt_amqp_writer *w, const struct managing *m)
{
    struct gnt_amqp_properties properties = {.group_sequence = 0};
    bool good = m->operation && m->status == m->operation->status;
    GNT_AMQP_SET(&properties, to, m->reply_to);
    if (m->correlation.type != GNT_AMQP_NULL)
        GNT_AMQP_SET(&properties, correlation_id, m->correlation);
    gnt_amqp_put_properties(w, &properties);
    put_status(w, m);
    gnt_amqp_put_descriptor(w, GNT_AMQP_VALUE);
    (good ? m->operation->put_body : put_nothing)(w, m);
}

/* Its encoding as a message of the queue's; none for want of memory. */
static void make_answer(struct managing *m)
{
    char topic[sizeof GNT_MAPPING_QUEUE + GNT_ENTITY_NAME_MAX];
    (void)snprintf(topic, sizeof topic, GNT_MAPPING_QUEUE "%.*s", (int)m->reply_to.size,
                   (const char *)m->reply_to.data);
    struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
    put_answer(&w, m);
    uint8_t *bytes = w.size < UINT32_MAX ? malloc(w.size) : NULL;
    if (!bytes)
        return;
    w = gnt_amqp_writer(bytes, w.size);
    put_answer(&w, m);
    const struct gnt_message_init init = {.topic = gnt_slice_str(topic),
                                          .payload = gnt_amqp_written(&w),
                                          .format = GNT_EXTRAS_AMQP,
                                          .expires = GNT_NEVER};
    if (gnt_message_new(&init, &m->sending.message))
        m->sending.message = NULL;
    free(bytes);
}

/* Sends what m->status and m->why say; without memory there is no answer. */
static void answer(struct managing *m)
{
    make_answer(m);
    gnt_buf_fini(&m->asking.bound);
    m->asking = (struct gnt_entity_asking){.done = on_reply_found,
                                           .verb = GNT_ENTITY_FIND,
                                           .name = m->reply_to};
    gnt_entity_ask(m->home, &m->asking);
}

static void answer_with(struct managing *m, int status, const char *why)
{
    m->status = status;
    (void)snprintf(m->why, sizeof m->why, "%s", why);
    answer(m);
}

/* Quotes WHAT, of the peer's. */
static void answer_about(struct managing *m, int status, const char *why, struct gnt_slice what)
{
    char shown[SHOWN_MAX], text[WHY_MAX];
    (void)snprintf(text, sizeof text, "%s: %s", why, gnt_utf8_printable(what, shown, sizeof shown));
    answer_with(m, status, text);
}

/* ---- What the core says */

static const struct {
    int status;
} statuses[] = {
    [GNT_QUEUE_NOT_FOUND] = {404},  [GNT_QUEUE_EXISTS] = {409},   [GNT_QUEUE_BAD_NAME] = {400},
    [GNT_QUEUE_BAD_OPTION] = {400}, [GNT_QUEUE_LIMIT] = {507},    [GNT_QUEUE_IN_USE] = {423},
    [GNT_QUEUE_NO_MEMORY] = {503},  [GNT_QUEUE_NO_STORE] = {503}, [GNT_QUEUE_FIXED] = {409},
};

static void answer_result(struct managing *m, enum gnt_queue_result result)
{
    const char *problem = result == GNT_QUEUE_BAD_NAME ? gnt_entity_name_problem(m->name) : NULL;
    size_t rows = sizeof statuses / sizeof statuses[0];
    int status = result < rows && statuses[result].status ? statuses[result].status : 500;
    if (result == GNT_QUEUE_DONE)
        status = m->operation->status;
    if (problem)
        answer_about(m, status, problem, m->name);
    else
        answer_with(m, status, gnt_queue_result_text(result));
}

/* ---- One queue */

static void put_bind(struct gnt_amqp_writer *w, const struct managing *m)
{
    struct gnt_reader filters = gnt_reader(gnt_buf_slice(&m->asking.bound));
    uint32_t count = 0;
    gnt_amqp_put_string(w, gnt_slice_str("bind"));
    size_t mark = gnt_amqp_begin_list(w);
    for (; gnt_read_left(&filters); count++)
        gnt_amqp_put_string(w, gnt_read_str16(&filters));
    gnt_amqp_end_list(w, mark, count);
}

static void put_queue(struct gnt_amqp_writer *w, const struct managing *m)
{
    size_t mark = gnt_amqp_begin_map(w);
    for (unsigned i = 0; i < GNT_ATTRIBUTES; i++) {
        gnt_amqp_put_string(w, gnt_slice_str(gnt_attribute_name(i)));
        gnt_attribute_put(w, i, m->name, &m->asking.facts);
    }
    put_bind(w, m);
    gnt_amqp_end_map(w, mark, 2 * (GNT_ATTRIBUTES + 1));
}

static void put_purged(struct gnt_amqp_writer *w, const struct managing *m)
{
    size_t mark = gnt_amqp_begin_map(w);
    gnt_amqp_put_string(w, gnt_slice_str("purged"));
    gnt_amqp_put_ulong(w, m->asking.purged);
    gnt_amqp_end_map(w, mark, 2);
}

static void on_asked(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct managing *m = GNT_CONTAINER(asking, struct managing, asking);
    (void)home;
    if (result == GNT_QUEUE_DONE && asking->verb == GNT_ENTITY_CREATE && !asking->facts.created)
        result = GNT_QUEUE_EXISTS; /* a dead-letter queue comes by itself */
    answer_result(m, result);
}

static void ask(struct managing *m)
{
    m->asking.done = on_asked;
    m->asking.verb = m->operation->verb;
    m->asking.name = m->name;
    m->asking.tells_bind = m->operation->put_body == put_queue;
    gnt_entity_ask(m->home, &m->asking);
}

/* Who reads the queue reads what comes by FILTER, and is not asked again about each message; what
 * is no filter the core will find. */
static bool may_bind(const struct managing *m, struct gnt_slice filter)
{
    return !gnt_topic_filter_valid(filter, m->home->config.topic_levels) ||
           gnt_rights_may_subscribe(m->rights, filter) == GNT_REACH_ALL;
}

/* The filters of a queue that is to be made; false: answered. */
static bool read_bind(struct managing *m)
{
    struct gnt_amqp_value list, filter;
    if (!gnt_amqp_find(&m->body, gnt_slice_str("bind"), &list) || list.type == GNT_AMQP_NULL)
        return true;
    struct gnt_amqp_items items = gnt_amqp_items(&list);
    bool good = list.type == GNT_AMQP_LIST || list.type == GNT_AMQP_ARRAY;
    while (good && gnt_amqp_items_next(&items, &filter)) {
        good = filter.type == GNT_AMQP_STRING && m->asking.bind_count < GNT_MANAGEMENT_BIND_MAX;
        if (good)
            m->bind[m->asking.bind_count++] = filter.bytes;
    }
    m->asking.bind = m->bind;
    for (size_t i = 0; good && i < m->asking.bind_count; i++) {
        if (!may_bind(m, m->bind[i])) {
            answer_about(m, 403, "not permitted to be given all of", m->bind[i]);
            return false;
        }
    }
    if (!good)
        answer_with(m, 400, "bind: a list of topic filters is expected, and not too many");
    return good;
}

static bool read_options(struct managing *m, const char *others)
{
    struct gnt_slice bad;
    m->asking.options = &m->options;
    if (!gnt_attributes_read(&m->body, others, &m->options, &bad))
        return true;
    answer_about(m, 400, "not an option, or not a value for it", bad);
    return false;
}

static void create(struct managing *m)
{
    m->options = gnt_queue_options_default();
    if (read_options(m, "bind") && read_bind(m))
        ask(m);
}

/* What is not named stays as it is. */
static void on_update_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                            enum gnt_queue_result result)
{
    struct managing *m = GNT_CONTAINER(asking, struct managing, asking);
    (void)home;
    m->options = asking->facts.options;
    if (result != GNT_QUEUE_DONE)
        answer_result(m, result);
    else if (read_options(m, ""))
        ask(m);
}

static void update(struct managing *m)
{
    m->asking = (struct gnt_entity_asking){.done = on_update_found,
                                           .verb = GNT_ENTITY_FIND,
                                           .name = m->name};
    gnt_entity_ask(m->home, &m->asking);
}

/* ---- All of them */

static void put_row(struct gnt_amqp_writer *w, const struct managing *m,
                    const struct gnt_entity_listed *queue)
{
    size_t mark = gnt_amqp_begin_list(w);
    for (unsigned i = 0; i < m->column_count; i++)
        gnt_attribute_put(w, m->columns[i], queue->name, &queue->facts);
    gnt_amqp_end_list(w, mark, m->column_count);
}

static void put_queues(struct gnt_amqp_writer *w, const struct managing *m)
{
    uint32_t rows = 0;
    size_t map = gnt_amqp_begin_map(w);
    gnt_amqp_put_string(w, gnt_slice_str("attributeNames"));
    size_t list = gnt_amqp_begin_list(w);
    for (unsigned i = 0; i < m->column_count; i++)
        gnt_amqp_put_string(w, gnt_slice_str(gnt_attribute_name(m->columns[i])));
    gnt_amqp_end_list(w, list, m->column_count);
    gnt_amqp_put_string(w, gnt_slice_str("results"));
    list = gnt_amqp_begin_list(w);
    for (size_t i = 0; i < m->listing.count; i++) {
        if (!gnt_rights_may(m->rights, GNT_VERB_MANAGE, m->listing.listed[i].name))
            continue;
        put_row(w, m, &m->listing.listed[i]);
        rows++;
    }
    gnt_amqp_end_list(w, list, rows);
    gnt_amqp_put_string(w, gnt_slice_str("more"));
    gnt_amqp_put_boolean(w, m->listing.more);
    gnt_amqp_end_map(w, map, 6);
}

static void on_listed(struct gnt_home *home, struct gnt_entity_listing *listing,
                      enum gnt_queue_result result)
{
    (void)home;
    answer_result(GNT_CONTAINER(listing, struct managing, listing), result);
}

/* False: answered. */
static bool read_columns(struct managing *m)
{
    struct gnt_amqp_value names, name = {.type = GNT_AMQP_NULL};
    bool given = gnt_amqp_find(&m->body, gnt_slice_str("attributeNames"), &names) && names.count;
    struct gnt_amqp_items items = gnt_amqp_items(&names);
    while (given && gnt_amqp_items_next(&items, &name)) {
        unsigned attribute = name.type == GNT_AMQP_STRING ? gnt_attribute_named(name.bytes)
                                                          : (unsigned)GNT_ATTRIBUTES;
        if (attribute == GNT_ATTRIBUTES || m->column_count == GNT_ATTRIBUTES) {
            answer_with(m, 400, "attributeNames: not an attribute of queues, or one twice");
            return false;
        }
        m->columns[m->column_count++] = attribute;
    }
    for (unsigned i = 0; !given && i < GNT_ATTRIBUTES; i++)
        m->columns[m->column_count++] = i;
    return true;
}

static void query(struct managing *m)
{
    if (!read_columns(m))
        return;
    m->listing = (struct gnt_entity_listing){.done = on_listed, .most = GNT_MANAGEMENT_MOST};
    gnt_entity_list(m->home, &m->listing);
}

/* ---- The request */

static const struct operation operations[] = {
    {"CREATE", create, put_queue, GNT_ENTITY_CREATE, 201, true},
    {"READ", ask, put_queue, GNT_ENTITY_FIND, 200, true},
    {"UPDATE", update, put_queue, GNT_ENTITY_UPDATE, 200, true},
    {"DELETE", ask, put_nothing, GNT_ENTITY_DELETE, 204, true},
    {"PURGE", ask, put_purged, GNT_ENTITY_PURGE, 200, true},
    {"QUERY", query, put_queues, GNT_ENTITY_FIND, 200, false},
};

static const struct operation *find_operation(struct gnt_slice word)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (gnt_slice_eq(gnt_slice_str(operations[i].word), word))
            return &operations[i];
    return NULL;
}

/* Properties of the application's that are strings; empty: there is none. */
static struct gnt_slice word_of(const struct gnt_amqp_message *sections, const char *name)
{
    struct gnt_amqp_value value;
    bool found = gnt_amqp_lookup(sections->application_properties, name, &value) &&
                 value.type == GNT_AMQP_STRING;
    return found ? value.bytes : gnt_slice(NULL, 0);
}

static gnt_err read_reply_to(struct managing *m, const struct gnt_amqp_message *sections)
{
    struct gnt_amqp_properties properties;
    struct gnt_address address;
    if (!sections->properties.size ||
        gnt_amqp_decode_properties(sections->properties, &properties) ||
        gnt_address_parse(properties.reply_to, &address) || address.dead_letter ||
        (address.kind != GNT_ADDRESS_ENTITY && address.kind != GNT_ADDRESS_QUEUE) ||
        address.entity.size > GNT_ENTITY_NAME_MAX)
        return GNT_INVALID;
    m->reply_to = address.entity;
    m->correlation =
        properties.has.correlation_id ? properties.correlation_id : properties.message_id;
    return GNT_OK;
}

static gnt_err read_request(struct managing *m, struct gnt_slice request,
                            struct gnt_amqp_message *sections)
{
    m->bytes = malloc(request.size + 1);
    if (!m->bytes)
        return GNT_NOMEM;
    if (request.size)
        memcpy(m->bytes, request.data, request.size);
    if (gnt_amqp_message_split(gnt_slice(m->bytes, request.size), sections) ||
        !gnt_amqp_message_valid(sections))
        return GNT_MALFORMED;
    if (sections->body_kind == GNT_AMQP_VALUE)
        (void)gnt_amqp_section(sections->body, &m->body);
    m->name = word_of(sections, "name");
    return read_reply_to(m, sections);
}

static void begin(struct managing *m, const struct gnt_amqp_message *sections)
{
    struct gnt_slice type = word_of(sections, "type");
    m->operation = find_operation(word_of(sections, "operation"));
    if (!m->operation)
        answer_about(m, 501, "not an operation that is known here", word_of(sections, "operation"));
    else if (m->operation->named && type.size && !gnt_slice_eq(type, gnt_slice_str("queue")))
        answer_about(m, 400, "not a type that is known here", type);
    else if (m->operation->named && !gnt_rights_may(m->rights, GNT_VERB_MANAGE, m->name))
        answer_with(m, 403, "not permitted");
    else
        m->operation->begin(m);
}

gnt_err gnt_manage(struct gnt_home *home, struct gnt_slice request, struct gnt_rights *rights,
                   gnt_managed *done, void *context)
{
    struct gnt_amqp_message sections;
    if (request.size > GNT_MANAGEMENT_REQUEST_MAX)
        return GNT_TOOBIG;
    struct managing *m = calloc(1, sizeof *m);
    if (!m)
        return GNT_NOMEM;
    m->home = home;
    m->done = done;
    m->context = context;
    gnt_err err = read_request(m, request, &sections);
    if (err) {
        managing_free(m);
        return err;
    }
    m->rights = gnt_rights_ref(rights);
    begin(m, &sections);
    return GNT_OK;
}
