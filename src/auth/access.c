#include "auth/access.h"

#include "auth/access_private.h"
#include "base/assert.h"
#include "base/list.h"
#include "base/utf8.h"
#include "model/address.h"
#include "model/topic.h"

#include <stdlib.h>

static const struct {
    const char *word;
    uint8_t verbs;
} words[] = {
    {"publish", GNT_VERB_PUBLISH}, {"subscribe", GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE},
    {"receive", GNT_VERB_RECEIVE}, {"send", GNT_VERB_SEND},
    {"listen", GNT_VERB_LISTEN},   {"manage", GNT_VERB_MANAGE},
};

uint8_t gnt_access_verbs(struct gnt_slice word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (gnt_slice_eq_str(word, words[i].word))
            return words[i].verbs;
    return 0;
}

/* ---- Its life */

gnt_err gnt_access_new(struct gnt_access **out)
{
    struct gnt_access *a = calloc(1, sizeof *a);
    if (!a)
        return GNT_NOMEM;
    a->refs = 1;
    *out = a;
    return GNT_OK;
}

gnt_err gnt_access_asking(gnt_access_ask *ask, void *context, struct gnt_access **out)
{
    gnt_err err = gnt_access_new(out);
    if (err)
        return err;
    (*out)->ask = ask;
    (*out)->ask_context = context;
    (*out)->sealed = true;
    return GNT_OK;
}

/* Only the first COUNT stay. */
static void cut(struct gnt_access_rows *rows, size_t count)
{
    while (rows->count > count) {
        rows->count--;
        free(rows->items[rows->count].who);
        free(rows->items[rows->count].text);
    }
}

static void rows_fini(struct gnt_access_rows *rows)
{
    cut(rows, 0);
    free(rows->items);
    *rows = (struct gnt_access_rows){NULL, 0, 0};
}

struct gnt_access *gnt_access_ref(struct gnt_access *access)
{
    if (access)
        atomic_fetch_add_explicit(&access->refs, 1, memory_order_relaxed);
    return access;
}

void gnt_access_unref(struct gnt_access **access)
{
    struct gnt_access *gone = *access;
    struct gnt_map_cursor cursor = {0, NULL};
    struct gnt_map_node *node;
    *access = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    while ((node = gnt_map_walk(&gone->users, &cursor)) != NULL) {
        struct gnt_access_user *user = GNT_CONTAINER(node, struct gnt_access_user, node);
        gnt_map_remove(&gone->users, node);
        rows_fini(&user->rows);
        gnt_rules_free(&user->rules);
        free(user);
    }
    gnt_map_fini(&gone->users);
    rows_fini(&gone->own);
    rows_fini(&gone->patterns);
    free(gone);
}

struct gnt_access_user *gnt_access_user(const struct gnt_access *access, struct gnt_slice name)
{
    struct gnt_map_node *node = gnt_map_first(&access->users, gnt_hash(name));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_access_user *user = GNT_CONTAINER(node, struct gnt_access_user, node);
        if (gnt_slice_eq(gnt_slice(user->name, user->name_size), name))
            return user;
    }
    return NULL;
}

/* ---- Filling it */

/* Copies FILTER to ROW, with a byte for each mark. */
static void put_text(struct gnt_access_row *row, struct gnt_slice filter,
                     const struct gnt_access_marks *marks)
{
    while (filter.size) {
        struct gnt_slice client = gnt_slice_str(marks ? marks->client : NULL);
        struct gnt_slice user = gnt_slice_str(marks ? marks->user : NULL);
        size_t taken = 1;
        uint8_t byte = filter.data[0];
        if (client.size && gnt_slice_starts(filter, client)) {
            taken = client.size;
            byte = GNT_ACCESS_CLIENT;
        } else if (user.size && gnt_slice_starts(filter, user)) {
            taken = user.size;
            byte = GNT_ACCESS_USER;
        }
        row->filled = row->filled || taken > 1;
        row->text[row->size++] = gnt_access_byte(row, byte);
        filter = gnt_slice_skip(filter, taken);
    }
}

static gnt_err make_room(struct gnt_access_rows *rows)
{
    if (rows->count < rows->cap)
        return GNT_OK;
    size_t cap = rows->cap ? rows->cap * 2 : 4;
    struct gnt_access_row *items = realloc(rows->items, cap * sizeof *items);
    if (!items)
        return GNT_NOMEM;
    rows->items = items;
    rows->cap = cap;
    return GNT_OK;
}

/* To publish to "$queue/NAME" is to send to NAME, and to subscribe to it is to listen to that. */
static uint8_t of_queue(uint8_t verbs)
{
    return (verbs & GNT_VERB_PUBLISH ? GNT_VERB_SEND : 0) |
           (verbs & (GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE) ? GNT_VERB_LISTEN : 0);
}

gnt_err gnt_access_append(struct gnt_access_rows *rows, struct gnt_slice who, uint8_t verbs,
                          bool permits, struct gnt_slice filter,
                          const struct gnt_access_marks *marks, const char **why)
{
    struct gnt_slice queue;
    if (!gnt_topic_filter_valid(filter, GNT_ACCESS_LEVELS_MAX)) {
        *why = "expected a topic filter of at most 200 levels";
        return GNT_INVALID;
    }
    if (gnt_topic_queue(filter, &queue)) {
        filter = queue;
        verbs = of_queue(verbs);
    }
    gnt_err err = make_room(rows);
    if (err)
        return err;
    struct gnt_access_row row = {.verbs = verbs, .permits = permits};
    row.text = malloc(filter.size);
    if (who.size)
        row.who = strndup((const char *)who.data, who.size);
    if (!row.text || (who.size && !row.who)) {
        free(row.text);
        free(row.who);
        return GNT_NOMEM;
    }
    put_text(&row, filter, marks);
    rows->items[rows->count++] = row;
    return GNT_OK;
}

static const struct gnt_access_marks own_marks = {"${client}", "${user}"};

/* Whether each "${" in TEXT begins one of the marks. */
static bool marks_known(struct gnt_slice text)
{
    for (size_t i = 0; i + 1 < text.size; i++) {
        struct gnt_slice rest = gnt_slice_skip(text, i);
        if (memcmp(rest.data, "${", 2) == 0 &&
            !gnt_slice_starts(rest, gnt_slice_str(own_marks.client)) &&
            !gnt_slice_starts(rest, gnt_slice_str(own_marks.user)))
            return false;
    }
    return true;
}

/* Whether a queue may have a name that ON matches, as far as its beginning and its end say that. */
static const char *queue_problem(struct gnt_slice on)
{
    struct gnt_address address;
    bool marked = gnt_slice_starts(on, gnt_slice_str("${"));
    bool open = on.size && on.data[on.size - 1] == '#';
    if (on.size && !marked && (on.data[0] == '$' || on.data[0] == '/'))
        return "expected the name of a queue: neither $ nor / in front";
    if (!open && !gnt_address_parse(on, &address) && address.kind != GNT_ADDRESS_ENTITY)
        return "expected the name of a queue: behind a slash this means something else";
    return NULL;
}

/* What is written like an address would match nothing. */
static const char *address_problem(const struct gnt_access_rule *rule)
{
    static const struct {
        const char *front, *why;
    } fronts[] = {
        {"topic://", "expected a topic filter, without topic:// in front"},
        {"queue://", "expected the name of a queue, without queue:// in front"},
        {"amqp://", "expected the name of a queue, without a server in front"},
        {"amqps://", "expected the name of a queue, without a server in front"},
    };
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
        size_t size = strlen(fronts[i].front);
        if (rule->on.size >= size &&
            gnt_entity_same(gnt_slice(rule->on.data, size), gnt_slice_str(fronts[i].front)))
            return fronts[i].why;
    }
    return rule->verbs & GNT_VERBS_OF_QUEUES ? queue_problem(rule->on) : NULL;
}

/* What is wrong with RULE in words; NULL: nothing so far. */
static const char *problem_of(const struct gnt_access_rule *rule)
{
    if (rule->who.size && !gnt_utf8_valid(rule->who))
        return "expected a user name, in which * stands for any text, or anonymous";
    if (!marks_known(rule->on))
        return "expected no other ${...} than ${client} and ${user}";
    return address_problem(rule);
}

/* Topics and names of queues are compared in different ways: what RULE says about both is two. */
gnt_err gnt_access_add(struct gnt_access *access, const struct gnt_access_rule *rule,
                       const char **why)
{
    static const uint8_t halves[] = {(uint8_t)~GNT_VERBS_OF_QUEUES, GNT_VERBS_OF_QUEUES};
    struct gnt_access_rows *rows = &access->own;
    const size_t before = rows->count;
    gnt_err err = GNT_OK;
    GNT_ASSERT(!access->sealed && rule->verbs);
    *why = problem_of(rule);
    if (*why)
        return GNT_INVALID;
    for (int i = 0; i < 2 && !err; i++) {
        uint8_t verbs = rule->verbs & halves[i];
        if (verbs)
            err =
                gnt_access_append(rows, rule->who, verbs, rule->permits, rule->on, &own_marks, why);
    }
    if (err)
        cut(rows, before);
    return err;
}

/* The rules of ROWS: what denies before what permits. */
static gnt_err compile(const struct gnt_access_rows *rows, struct gnt_rules **out)
{
    struct gnt_rule *rules = calloc(rows->count ? rows->count : 1, sizeof *rules);
    size_t n = 0;
    if (!rules)
        return GNT_NOMEM;
    for (int permits = 0; permits < 2; permits++)
        for (size_t i = 0; i < rows->count; i++) {
            const struct gnt_access_row *row = &rows->items[i];
            if (row->permits == permits)
                rules[n++] =
                    (struct gnt_rule){gnt_slice(row->text, row->size), row->verbs, permits};
        }
    gnt_err err = gnt_rules_new(rules, n, out);
    free(rules);
    return err;
}

gnt_err gnt_access_seal(struct gnt_access *access)
{
    struct gnt_map_cursor cursor = {0, NULL};
    struct gnt_map_node *node;
    GNT_ASSERT(!access->sealed);
    while ((node = gnt_map_walk(&access->users, &cursor)) != NULL) {
        struct gnt_access_user *user = GNT_CONTAINER(node, struct gnt_access_user, node);
        gnt_err err = user->rules ? GNT_OK : compile(&user->rows, &user->rules);
        if (err)
            return err;
    }
    cursor = (struct gnt_map_cursor){0, NULL};
    while ((node = gnt_map_walk(&access->users, &cursor)) != NULL)
        rows_fini(&GNT_CONTAINER(node, struct gnt_access_user, node)->rows);
    access->sealed = true;
    return GNT_OK;
}
