/* From an access list to the rights of one identity. */

#include "auth/access_private.h"
#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

/* Whether NAME fits PATTERN, in which * stands for any text. */
static bool fits(const char *pattern, struct gnt_slice name)
{
    const char *star = NULL; /* behind the last one that has been passed */
    size_t from = 0, i = 0;  /* where its text ends, for now */
    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            from = i;
        } else if (i < name.size && *pattern && name.data[i] == (uint8_t)*pattern) {
            pattern++;
            i++;
        } else if (i == name.size && !*pattern) {
            return true;
        } else if (star && from < name.size) {
            pattern = star;
            i = ++from;
        } else {
            return false;
        }
    }
}

static bool is_about(const struct gnt_access_row *row, struct gnt_slice user)
{
    if (!row->who)
        return true;
    bool anonymous = strcmp(row->who, "anonymous") == 0;
    return anonymous ? user.size == 0 : user.size && fits(row->who, user);
}

/* Whether NAME has one of the bytes of SET. */
static bool has(struct gnt_slice name, const char *set)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] && strchr(set, name.data[i]))
            return true;
    return false;
}

/* Whether NAME can take a place in ROW behind N bytes.  One with / would reach into topics of
 * others; a denial says what it says.  No topic has + or #. */
static bool can_stand(const struct gnt_access_row *row, struct gnt_slice name, size_t n)
{
    if (row->permits && (has(name, "/") || (n == 0 && name.size && name.data[0] == '$')))
        return false;
    return !has(name, "+#");
}

/* Puts the filter of ROW into TEXT (which has room for it), with what WHO is in its places.  False:
 * it is not about WHO. */
static bool fill(const struct gnt_access_row *row, struct gnt_principal who, uint8_t *text,
                 size_t *size)
{
    size_t n = 0;
    for (uint32_t i = 0; i < row->size; i++) {
        uint8_t byte = row->text[i];
        struct gnt_slice put = gnt_slice(&byte, 1);
        bool user = byte == GNT_ACCESS_USER;
        if (user || byte == GNT_ACCESS_CLIENT) {
            put = user ? who.user : who.client;
            if ((user && put.size == 0) || !can_stand(row, put, n))
                return false;
        }
        if (n + put.size > GNT_TOPIC_MAX)
            return false;
        for (size_t k = 0; k < put.size; k++)
            text[n++] = gnt_access_byte(row, put.data[k]);
    }
    *size = n;
    return n > 0;
}

/* The rules of one list that are about one identity, while they are gathered. */
struct gathering {
    struct gnt_principal who;
    struct gnt_rule *rules;
    uint8_t *text; /* of those that were filled */
    size_t count, used;
};

/* How much text the rules can have, filled. */
static size_t text_bound(const struct gnt_access_rows *rows, struct gnt_principal who)
{
    size_t bound = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct gnt_access_row *row = &rows->items[i];
        size_t longest = row->size;
        for (uint32_t k = 0; row->filled && k < row->size; k++)
            longest += row->text[k] == GNT_ACCESS_CLIENT ? who.client.size
                       : row->text[k] == GNT_ACCESS_USER ? who.user.size
                                                         : 0;
        if (row->filled)
            bound += longest < GNT_TOPIC_MAX ? longest : GNT_TOPIC_MAX;
    }
    return bound;
}

static void gather_row(struct gathering *g, const struct gnt_access_row *row)
{
    struct gnt_slice filter = gnt_slice(row->text, row->size);
    if (row->filled) {
        size_t size;
        if (!fill(row, g->who, g->text + g->used, &size))
            return;
        filter = gnt_slice(g->text + g->used, size);
        g->used += size;
    }
    g->rules[g->count++] = (struct gnt_rule){filter, row->verbs, row->permits};
}

/* What ROWS say about WHO: what denies before what permits.  *out NULL: nothing. */
static gnt_err gather(const struct gnt_access_rows *rows, struct gnt_principal who,
                      struct gnt_rules **out)
{
    struct gathering g = {.who = who};
    gnt_err err = GNT_OK;
    *out = NULL;
    if (rows->count == 0)
        return GNT_OK;
    g.rules = malloc(rows->count * sizeof *g.rules);
    g.text = malloc(text_bound(rows, who) + 1);
    if (!g.rules || !g.text)
        err = GNT_NOMEM;
    for (int permits = 0; permits < 2 && !err; permits++)
        for (size_t i = 0; i < rows->count; i++)
            if (rows->items[i].permits == permits && is_about(&rows->items[i], who.user))
                gather_row(&g, &rows->items[i]);
    if (!err && g.count)
        err = gnt_rules_new(g.rules, g.count, out);
    free(g.rules);
    free(g.text);
    return err;
}

size_t gnt_access_size(const struct gnt_access *access)
{
    return access ? access->own.count + access->patterns.count : 0;
}

gnt_err gnt_access_rights(struct gnt_access *access, struct gnt_principal who,
                          struct gnt_rights **out)
{
    struct gnt_rules *own = NULL, *patterns = NULL;
    *out = NULL;
    if (!access)
        return GNT_OK;
    GNT_ASSERT(access->sealed);
    if (access->ask)
        return gnt_rights_asking(access, who, out);
    const struct gnt_access_user *user = gnt_access_user(access, who.user);
    gnt_err err = gather(&access->own, who, &own);
    if (!err && !has(who.user, "+#") && !has(who.client, "+#"))
        err = gather(&access->patterns, who, &patterns);
    if (!err)
        err = gnt_rights_new(access, &own, user ? user->rules : NULL, &patterns, out);
    gnt_rules_free(&own);
    gnt_rules_free(&patterns);
    return err;
}
