#include "conf/option.h"
#include "base/assert.h"
#include "base/utf8.h"
#include "conf/scalar.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_MAX = 4096 }; /* bytes of a string and items of a list where the row says nothing */

/* What the kinds of numbers have in common.  SUCH_AS shows all ways of writing one. */
static const struct number_kind {
    const struct gnt_unit *units; /* NULL: the kind is not a number */
    const char *name;
    const char *such_as;
} number_kinds[] = {
    [GNT_OPTION_INTEGER] = {gnt_units_none, "an integer", ""},
    [GNT_OPTION_SIZE] = {gnt_units_size, "a size", " such as 64KiB, 1MiB or 268435455"},
    [GNT_OPTION_DURATION] = {gnt_units_duration, "a duration", " such as 500ms, 10s, 5m, 2h or 7d"},
    [GNT_OPTION_SECONDS] = {gnt_units_seconds, "a duration in whole seconds",
                            " such as 10s, 5m, 2h or 7d"},
    [GNT_OPTION_TAKE] = {NULL, NULL, NULL},
};

static void *field(const struct gnt_option *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *const_field(const struct gnt_option *row, const void *values)
{
    return (const char *)values + row->offset;
}

static uint64_t load_number(const struct gnt_option *row, const void *values)
{
    const void *at = const_field(row, values);
    switch (row->width) {
    case 1: return *(const uint8_t *)at;
    case 2: return *(const uint16_t *)at;
    case 4: return *(const uint32_t *)at;
    }
    GNT_ASSERT(row->width == 8);
    return *(const uint64_t *)at;
}

static void store_number(const struct gnt_option *row, void *values, uint64_t value)
{
    void *at = field(row, values);
    GNT_ASSERT(row->width == 8 || value >> (8 * row->width) == 0);
    switch (row->width) {
    case 1: *(uint8_t *)at = (uint8_t)value; return;
    case 2: *(uint16_t *)at = (uint16_t)value; return;
    case 4: *(uint32_t *)at = (uint32_t)value; return;
    }
    GNT_ASSERT(row->width == 8);
    *(uint64_t *)at = value;
}

static size_t max_of(const struct gnt_option *row)
{
    return row->max ? (size_t)row->max : DEFAULT_MAX;
}

static bool is_list(const struct gnt_option *row)
{
    return row->kind == GNT_OPTION_STRINGS || row->kind == GNT_OPTION_MAPS;
}

static struct gnt_option_list *list_of(const struct gnt_option *row, void *values)
{
    GNT_ASSERT(is_list(row));
    return field(row, values);
}

size_t gnt_option_list_count(const struct gnt_option *row, const void *values)
{
    GNT_ASSERT(is_list(row));
    return ((const struct gnt_option_list *)const_field(row, values))->count;
}

static size_t item_size(const struct gnt_option *row)
{
    return row->kind == GNT_OPTION_MAPS ? row->items->size : sizeof(char *);
}

static void *item_at(const struct gnt_option *row, const struct gnt_option_list *list, size_t i)
{
    return (char *)list->items + i * item_size(row);
}

void gnt_option_list_clear(const struct gnt_option *row, void *values)
{
    struct gnt_option_list *list = list_of(row, values);
    for (size_t i = 0; i < list->count; i++) {
        if (row->kind == GNT_OPTION_MAPS)
            gnt_options_fini(row->items, item_at(row, list, i));
        else
            free(*(char **)item_at(row, list, i));
    }
    free(list->items);
    *list = (struct gnt_option_list){NULL, 0};
}

/* Room for one more item, which the caller fills and counts.  Lists of options are short and
 * bounded, so they grow by one. */
static gnt_err list_grow(const struct gnt_option *row, struct gnt_option_list *list,
                         struct gnt_why *why)
{
    if (list->count >= max_of(row)) {
        gnt_why_set(why, "at most %zu %s allowed", max_of(row),
                    max_of(row) == 1 ? "item is" : "items are");
        return GNT_FULL;
    }
    void *items = realloc(list->items, (list->count + 1) * item_size(row));
    if (!items)
        return GNT_NOMEM;
    list->items = items;
    return GNT_OK;
}

gnt_err gnt_option_list_add(const struct gnt_option *row, void *values, void **item,
                            struct gnt_why *why)
{
    struct gnt_option_list *list = list_of(row, values);
    gnt_err err = list_grow(row, list, why);
    if (err)
        return err;
    err = gnt_options_init(row->items, item_at(row, list, list->count));
    if (err)
        return err;
    *item = item_at(row, list, list->count++);
    return GNT_OK;
}

gnt_err gnt_options_init(const struct gnt_option_table *table, void *values)
{
    GNT_ASSERT(table->count <= GNT_OPTION_ROWS);
    memset(values, 0, table->size);
    for (size_t i = 0; i < table->count; i++) {
        const struct gnt_option *row = &table->rows[i];
        if (!row->fallback)
            continue;
        struct gnt_why why;
        gnt_err err = gnt_option_set(row, values, gnt_slice_str(row->fallback), &why);
        if (err) {
            GNT_ASSERT(err == GNT_NOMEM); /* a default that the row itself refuses */
            gnt_options_fini(table, values);
            return err;
        }
    }
    return GNT_OK;
}

void gnt_options_fini(const struct gnt_option_table *table, void *values)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct gnt_option *row = &table->rows[i];
        if (row->kind == GNT_OPTION_STRING)
            free(*(char **)field(row, values));
        else if (is_list(row))
            gnt_option_list_clear(row, values);
    }
    memset(values, 0, table->size);
}

/* WHY: expected what the row accepts, got TEXT. */
static gnt_err refuse(const struct gnt_option *row, struct gnt_slice text, struct gnt_why *why)
{
    char shown[64];
    struct gnt_buf expects = {NULL, 0, 0, 0};
    gnt_err err = gnt_option_expects(row, &expects);
    if (!err) {
        struct gnt_slice line = gnt_buf_slice(&expects);
        gnt_why_set(why, "expected %.*s, got '%s'", (int)line.size, (const char *)line.data,
                    gnt_utf8_printable(text, shown, sizeof shown));
        err = GNT_INVALID;
    }
    gnt_buf_fini(&expects);
    return err;
}

static gnt_err refuse_range(const struct gnt_option *row, struct gnt_slice text,
                            struct gnt_why *why)
{
    const struct number_kind *kind = &number_kinds[row->kind];
    char shown[64], min[GNT_SCALAR_CHARS], max[GNT_SCALAR_CHARS];
    gnt_why_set(why, "expected %s from %s to %s, got '%s'", kind->name,
                gnt_scalar_print(row->min, kind->units, min),
                gnt_scalar_print(row->max, kind->units, max),
                gnt_utf8_printable(text, shown, sizeof shown));
    return GNT_INVALID;
}

static const struct gnt_option_word *find_word(const struct gnt_option *row, struct gnt_slice text)
{
    for (const struct gnt_option_word *w = row->words; w && w->word; w++) {
        if (gnt_slice_eq_str(text, w->word))
            return w;
    }
    return NULL;
}

static gnt_err set_number(const struct gnt_option *row, void *values, struct gnt_slice text,
                          struct gnt_why *why)
{
    const struct gnt_option_word *word = find_word(row, text);
    if (word) {
        store_number(row, values, word->value);
        return GNT_OK;
    }
    uint64_t value;
    gnt_err err = gnt_scalar_number(text, number_kinds[row->kind].units, &value);
    if (err == GNT_INVALID)
        return refuse(row, text, why);
    if (err || value < row->min || value > row->max)
        return refuse_range(row, text, why);
    store_number(row, values, value);
    return GNT_OK;
}

static gnt_err set_bool(const struct gnt_option *row, void *values, struct gnt_slice text,
                        struct gnt_why *why)
{
    bool value;
    if (gnt_scalar_bool(text, &value))
        return refuse(row, text, why);
    *(bool *)field(row, values) = value;
    return GNT_OK;
}

static gnt_err set_word(const struct gnt_option *row, void *values, struct gnt_slice text,
                        struct gnt_why *why)
{
    const struct gnt_option_word *word = find_word(row, text);
    if (word) {
        store_number(row, values, word->value);
        return GNT_OK;
    }
    char shown[64];
    gnt_err err = refuse(row, text, why);
    struct gnt_nearest near = gnt_nearest(gnt_utf8_printable(text, shown, sizeof shown));
    for (const struct gnt_option_word *w = row->words; w->word; w++)
        gnt_nearest_offer(&near, w->word);
    size_t size = err == GNT_INVALID ? strlen(why->text) : 0;
    if (size > 0 && near.word)
        (void)snprintf(why->text + size, sizeof why->text - size, ", did you mean '%s'?",
                       near.word);
    return err;
}

/* A checked copy of TEXT. */
static gnt_err copy_string(const struct gnt_option *row, struct gnt_slice text, char **out,
                           struct gnt_why *why)
{
    if (text.size > 0 && !gnt_utf8_valid(text)) {
        gnt_why_set(why, "expected text in UTF-8 without NUL");
        return GNT_INVALID;
    }
    if (text.size < row->min || text.size > max_of(row)) {
        gnt_why_set(why, "expected a text of %zu to %zu bytes, got %zu", (size_t)row->min,
                    max_of(row), text.size);
        return GNT_INVALID;
    }
    char *copy = malloc(text.size + 1);
    if (!copy)
        return GNT_NOMEM;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    gnt_err err = row->check ? row->check(copy, why) : GNT_OK;
    if (err) {
        free(copy);
        return err;
    }
    *out = copy;
    return GNT_OK;
}

static gnt_err set_string(const struct gnt_option *row, void *values, struct gnt_slice text,
                          struct gnt_why *why)
{
    char **slot = field(row, values);
    char *copy;
    gnt_err err = copy_string(row, text, &copy, why);
    if (err)
        return err;
    free(*slot);
    *slot = copy;
    return GNT_OK;
}

static gnt_err add_string(const struct gnt_option *row, void *values, struct gnt_slice text,
                          struct gnt_why *why)
{
    struct gnt_option_list *list = list_of(row, values);
    char *copy;
    gnt_err err = list_grow(row, list, why);
    if (!err)
        err = copy_string(row, text, &copy, why);
    if (err)
        return err == GNT_FULL ? GNT_INVALID : err;
    *(char **)item_at(row, list, list->count++) = copy;
    return GNT_OK;
}

static gnt_err add_map(const struct gnt_option *row, void *values, struct gnt_slice text,
                       struct gnt_why *why)
{
    struct gnt_option_list *list = list_of(row, values);
    void *item;
    gnt_err err = gnt_option_list_add(row, values, &item, why);
    if (err)
        return err == GNT_FULL ? GNT_INVALID : err;
    err = gnt_option_set(&row->items->rows[0], item, text, why);
    if (err) {
        gnt_options_fini(row->items, item);
        list->count--;
    }
    return err;
}

gnt_err gnt_option_set(const struct gnt_option *row, void *values, struct gnt_slice text,
                       struct gnt_why *why)
{
    switch (row->kind) {
    case GNT_OPTION_BOOL: return set_bool(row, values, text, why);
    case GNT_OPTION_INTEGER:
    case GNT_OPTION_SIZE:
    case GNT_OPTION_DURATION:
    case GNT_OPTION_SECONDS: return set_number(row, values, text, why);
    case GNT_OPTION_WORD: return set_word(row, values, text, why);
    case GNT_OPTION_STRING: return set_string(row, values, text, why);
    case GNT_OPTION_STRINGS: return add_string(row, values, text, why);
    case GNT_OPTION_MAPS: return add_map(row, values, text, why);
    case GNT_OPTION_TAKE: break;
    }
    gnt_why_set(why, "this is not set by a text");
    return GNT_INVALID;
}

static bool equal_strings(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool equal_items(const struct gnt_option *row, const void *a, const void *b)
{
    if (row->kind == GNT_OPTION_STRINGS)
        return equal_strings(*(char *const *)a, *(char *const *)b);
    for (size_t i = 0; i < row->items->count; i++) {
        if (!gnt_option_equal(&row->items->rows[i], a, b))
            return false;
    }
    return true;
}

bool gnt_option_equal(const struct gnt_option *row, const void *a, const void *b)
{
    const void *fa = const_field(row, a), *fb = const_field(row, b);
    if (row->kind == GNT_OPTION_TAKE)
        return true;
    if (row->kind == GNT_OPTION_STRING)
        return equal_strings(*(char *const *)fa, *(char *const *)fb);
    if (!is_list(row))
        return load_number(row, a) == load_number(row, b);

    const struct gnt_option_list *la = fa, *lb = fb;
    if (la->count != lb->count)
        return false;
    for (size_t i = 0; i < la->count; i++) {
        if (!equal_items(row, item_at(row, la, i), item_at(row, lb, i)))
            return false;
    }
    return true;
}

static bool item_needs_restart(const struct gnt_option *row, const void *a, const void *b)
{
    for (size_t i = 0; i < row->items->count; i++) {
        const struct gnt_option *inner = &row->items->rows[i];
        if (inner->restart && !gnt_option_equal(inner, a, b))
            return true;
    }
    return false;
}

bool gnt_option_needs_restart(const struct gnt_option *row, const void *a, const void *b)
{
    if (!row->restart || row->kind != GNT_OPTION_MAPS)
        return row->restart;
    const struct gnt_option_list *la = const_field(row, a), *lb = const_field(row, b);
    bool needs = la->count != lb->count;
    for (size_t i = 0; i < la->count && !needs; i++)
        needs = item_needs_restart(row, item_at(row, la, i), item_at(row, lb, i));
    return needs;
}

const struct gnt_option *gnt_option_find(const struct gnt_option_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].path && strcmp(table->rows[i].path, path) == 0)
            return &table->rows[i];
    }
    return NULL;
}

/* --- texts --- */

/* "a, b or c": every value by its first word, behind LEAD where one stands there already. */
static gnt_err put_words(const struct gnt_option_word *words, bool lead, struct gnt_buf *out)
{
    size_t last = 0;
    for (size_t i = 1; words[i].word; i++) {
        if (words[i].value != words[i - 1].value)
            last = i;
    }
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && words[i].word; i++) {
        if (i > 0 && words[i].value == words[i - 1].value)
            continue;
        const char *between = i == 0 && !lead ? "" : i == last ? " or " : ", ";
        err = gnt_text_put(out, "%s%s", between, words[i].word);
    }
    return err;
}

static gnt_err expects_number(const struct gnt_option *row, struct gnt_buf *out)
{
    const struct number_kind *kind = &number_kinds[row->kind];
    char min[GNT_SCALAR_CHARS], max[GNT_SCALAR_CHARS];
    gnt_err err;
    if (*kind->such_as)
        err = gnt_text_put(out, "%s%s%s", kind->name, kind->such_as, row->words ? "," : "");
    else
        err = gnt_text_put(out, "%s from %s to %s", kind->name,
                           gnt_scalar_print(row->min, kind->units, min),
                           gnt_scalar_print(row->max, kind->units, max));
    return err || !row->words ? err : put_words(row->words, true, out);
}

gnt_err gnt_option_expects(const struct gnt_option *row, struct gnt_buf *out)
{
    switch (row->kind) {
    case GNT_OPTION_BOOL: return gnt_text_put(out, "true or false");
    case GNT_OPTION_INTEGER:
    case GNT_OPTION_SIZE:
    case GNT_OPTION_DURATION:
    case GNT_OPTION_SECONDS: return expects_number(row, out);
    case GNT_OPTION_WORD: return put_words(row->words, false, out);
    case GNT_OPTION_STRING: return gnt_text_put(out, "a text");
    case GNT_OPTION_STRINGS: return gnt_text_put(out, "a text or a list of texts");
    case GNT_OPTION_MAPS: return gnt_text_put(out, "a list of maps");
    case GNT_OPTION_TAKE: break;
    }
    return GNT_OK;
}

static gnt_err put_number(const struct gnt_option *row, uint64_t value, struct gnt_buf *out)
{
    for (const struct gnt_option_word *w = row->words; w && w->word; w++) {
        if (w->value == value)
            return gnt_text_put(out, "%s", w->word);
    }
    char text[GNT_SCALAR_CHARS];
    GNT_ASSERT(number_kinds[row->kind].units != NULL);
    return gnt_text_put(out, "%s", gnt_scalar_print(value, number_kinds[row->kind].units, text));
}

static bool is_said(const struct gnt_option *row, struct gnt_slice text)
{
    return text.size > 0 && !gnt_slice_eq_str(text, "[]") &&
           !(row->fallback && gnt_slice_eq_str(text, row->fallback));
}

/* "{url: mqtt://:1883, mode: 0600}", without what is as it is anyway. */
static gnt_err put_map(const struct gnt_option_table *table, const void *values,
                       struct gnt_buf *out)
{
    const char *before = "";
    gnt_err err = gnt_text_put(out, "{");
    for (size_t i = 0; !err && i < table->count; i++) {
        size_t start = gnt_buf_size(out);
        err = gnt_text_put(out, "%s%s: ", before, table->rows[i].path);
        size_t value = gnt_buf_size(out);
        if (!err)
            err = gnt_option_text(&table->rows[i], values, out);
        struct gnt_slice all = gnt_buf_slice(out);
        if (!err && is_said(&table->rows[i], gnt_slice(all.data + value, all.size - value)))
            before = ", ";
        else
            gnt_buf_cut(out, start);
    }
    return err ? err : gnt_text_put(out, "}");
}

static gnt_err put_list(const struct gnt_option *row, const struct gnt_option_list *list,
                        struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "[");
    for (size_t i = 0; !err && i < list->count; i++) {
        const void *item = item_at(row, list, i);
        if (i > 0)
            err = gnt_text_put(out, ", ");
        if (!err && row->kind == GNT_OPTION_MAPS)
            err = put_map(row->items, item, out);
        else if (!err)
            err = gnt_text_put(out, "%s", *(char *const *)item);
    }
    return err ? err : gnt_text_put(out, "]");
}

gnt_err gnt_option_text(const struct gnt_option *row, const void *values, struct gnt_buf *out)
{
    const void *at = const_field(row, values);
    switch (row->kind) {
    case GNT_OPTION_BOOL: return gnt_text_put(out, *(const bool *)at ? "true" : "false");
    case GNT_OPTION_INTEGER:
    case GNT_OPTION_SIZE:
    case GNT_OPTION_DURATION:
    case GNT_OPTION_SECONDS:
    case GNT_OPTION_WORD: return put_number(row, load_number(row, values), out);
    case GNT_OPTION_STRING:
        return gnt_text_put(out, "%s", *(char *const *)at ? *(char *const *)at : "");
    case GNT_OPTION_STRINGS:
    case GNT_OPTION_MAPS: return put_list(row, at, out);
    case GNT_OPTION_TAKE: break;
    }
    return GNT_OK;
}
