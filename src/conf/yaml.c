#include "conf/yaml.h"
#include "base/file.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

enum { KEY_CHARS = 64, WHERE_CHARS = 256 };

/* One reading.  The walk follows the table, not the text: what the table does not know is skipped
 * without recursion, so the depth of calls is bounded by the depth of the table. */
struct walk {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; deleted when the next is fetched */
    struct gnt_slice text;
    const char *name;
    struct gnt_diag *diag;
    int depth;
    gnt_err err;             /* set: nothing more can be read */
    char where[WHERE_CHARS]; /* the option at hand, "listeners[1].url" */
};

struct place {
    size_t line, column; /* from 1 */
};

static struct place place_of(yaml_mark_t mark)
{
    return (struct place){mark.line + 1, mark.column + 1};
}

static struct place here(const struct walk *w)
{
    return place_of(w->event.start_mark);
}

__attribute__((format(printf, 3, 4))) static void report(struct walk *w, struct place place,
                                                         const char *format, ...)
{
    char line[2048]; /* room for the longest: a list of all known words */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    gnt_diag_add(w->diag, "%s:%zu:%zu: %s", w->name, place.line, place.column, line);
}

static void stop(struct walk *w, gnt_err err)
{
    if (!w->err)
        w->err = err;
}

/* The reader's errors (bytes that are not UTF-8) come with an offset only. */
static struct place place_of_offset(struct gnt_slice text, size_t offset)
{
    struct place p = {1, 1};
    for (size_t i = 0; i < offset && i < text.size; i++) {
        p.column++;
        if (text.data[i] == '\n')
            p = (struct place){p.line + 1, 1};
    }
    return p;
}

static void stop_at_problem(struct walk *w)
{
    const yaml_parser_t *p = &w->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        stop(w, GNT_NOMEM);
        return;
    }
    struct place place = p->error == YAML_READER_ERROR ? place_of_offset(w->text, p->problem_offset)
                                                       : place_of(p->problem_mark);
    if (p->context)
        report(w, place, "not YAML: %s, %s", p->context, p->problem);
    else
        report(w, place, "not YAML: %s", p->problem ? p->problem : "unreadable");
    stop(w, GNT_INVALID);
}

/* Of an event that begins a node: its anchor and tag. */
static void node_extras(const yaml_event_t *e, const yaml_char_t **anchor, const yaml_char_t **tag)
{
    *anchor = *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        *anchor = e->data.scalar.anchor;
        *tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        *anchor = e->data.sequence_start.anchor;
        *tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        *anchor = e->data.mapping_start.anchor;
        *tag = e->data.mapping_start.tag;
    }
}

/* What is YAML but not wanted here.  Whether reading can go on. */
static bool allowed(struct walk *w)
{
    const yaml_char_t *anchor, *tag;
    node_extras(&w->event, &anchor, &tag);
    if (w->event.type == YAML_ALIAS_EVENT || anchor)
        report(w, here(w), "anchors and aliases are not supported; write the value out");
    else if (tag)
        report(w, here(w), "tags are not supported; write the value without one");
    else if (w->depth > GNT_YAML_MAX_DEPTH)
        report(w, here(w), "nested deeper than %d levels", GNT_YAML_MAX_DEPTH);
    else
        return true;
    stop(w, GNT_INVALID);
    return false;
}

/* Fetches the next event; false where there is none to work with (w->err is set). */
static bool next(struct walk *w)
{
    yaml_event_delete(&w->event);
    if (w->err)
        return false;
    if (!yaml_parser_parse(&w->parser, &w->event)) {
        stop_at_problem(w);
        return false;
    }
    if (w->event.type == YAML_MAPPING_START_EVENT || w->event.type == YAML_SEQUENCE_START_EVENT)
        w->depth++;
    if (w->event.type == YAML_MAPPING_END_EVENT || w->event.type == YAML_SEQUENCE_END_EVENT)
        w->depth--;
    return allowed(w);
}

/* Passes over the node that the current event begins, whatever is in it. */
static void skip(struct walk *w)
{
    if (w->event.type == YAML_SCALAR_EVENT)
        return;
    int outside = w->depth - 1;
    while (next(w) && w->depth > outside)
        ;
}

static struct gnt_slice scalar(const struct walk *w)
{
    return gnt_slice(w->event.data.scalar.value, w->event.data.scalar.length);
}

/* Nothing where a value would stand: "data:", "data: ~", "data: null". */
static bool is_nothing(const struct walk *w)
{
    if (w->event.type != YAML_SCALAR_EVENT || !w->event.data.scalar.plain_implicit)
        return false;
    struct gnt_slice s = scalar(w);
    return s.size == 0 || gnt_slice_eq_str(s, "~") || gnt_slice_eq_str(s, "null");
}

static const char *node_name(const struct walk *w)
{
    if (is_nothing(w))
        return "nothing";
    if (w->event.type == YAML_SCALAR_EVENT)
        return "a single value";
    return w->event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "a map";
}

/* Appends to the name of the option at hand; what it was stands behind its first SIZE bytes. */
__attribute__((format(printf, 2, 3))) static size_t enter(struct walk *w, const char *format, ...)
{
    size_t size = strlen(w->where);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(w->where + size, sizeof w->where - size, format, arguments);
    va_end(arguments);
    return size;
}

static void leave(struct walk *w, size_t size)
{
    w->where[size] = '\0';
}

/* --- keys --- */

/* What one map has shown so far, by the index of the row (of a nested map: of its first row). */
struct seen {
    size_t line[GNT_OPTION_ROWS]; /* 0: not yet */
};

/* The part of a row's path behind PREFIX, NULL if the row does not stand under it. */
static const char *below(const struct gnt_option *row, const char *prefix)
{
    size_t size = strlen(prefix);
    return row->path && strncmp(row->path, prefix, size) == 0 ? row->path + size : NULL;
}

/* The first row whose next path component behind PREFIX is KEY; *nested: the path goes on.  A key
 * with a dot is none: maps are nested, not spelled out. */
static const struct gnt_option *find(const struct gnt_option_table *table, const char *prefix,
                                     const char *key, bool *nested)
{
    size_t size = strcspn(key, ".");
    if (size == 0 || key[size])
        return NULL;
    for (size_t i = 0; i < table->count; i++) {
        const char *rest = below(&table->rows[i], prefix);
        if (!rest || strncmp(rest, key, size) != 0 || (rest[size] && rest[size] != '.'))
            continue;
        *nested = rest[size] == '.';
        return &table->rows[i];
    }
    return NULL;
}

/* The I-th row's path component behind PREFIX, if no earlier row has the same. */
static bool component(const struct gnt_option_table *table, const char *prefix, size_t i,
                      char out[KEY_CHARS])
{
    const char *rest = below(&table->rows[i], prefix);
    size_t size = rest ? strcspn(rest, ".") : 0;
    if (size == 0 || size >= KEY_CHARS)
        return false;
    memcpy(out, rest, size);
    out[size] = '\0';
    bool nested;
    return find(table, prefix, out, &nested) == &table->rows[i];
}

static void report_unknown(struct walk *w, const struct gnt_option_table *table, const char *prefix,
                           const char *key, struct place place)
{
    char known[GNT_OPTION_ROWS][KEY_CHARS], list[1024] = "";
    struct gnt_nearest near = gnt_nearest(key);
    size_t used = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (!component(table, prefix, i, known[i]))
            continue;
        gnt_nearest_offer(&near, known[i]);
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                     known[i]);
    }
    const char *dot = *w->where ? "." : "";
    if (near.word)
        report(w, place, "unknown option '%s%s%s', did you mean '%s'?", w->where, dot, key,
               near.word);
    else
        report(w, place, "unknown option '%s%s%s', expected one of: %s", w->where, dot, key, list);
}

/* --- values --- */

static void read_map(struct walk *w, const struct gnt_option_table *table, const char *prefix,
                     void *values);

/* Checks that the current event is of TYPE, or reports what ROW expects and skips the node. */
static bool is_node(struct walk *w, const struct gnt_option *row, yaml_event_type_t type)
{
    if (w->event.type == type && !is_nothing(w))
        return true;
    struct gnt_buf expects = {NULL, 0, 0, 0};
    if (gnt_option_expects(row, &expects)) {
        stop(w, GNT_NOMEM);
    } else {
        struct gnt_slice line = gnt_buf_slice(&expects);
        report(w, here(w), "%s: expected %.*s, got %s", w->where, (int)line.size,
               (const char *)line.data, node_name(w));
        skip(w);
    }
    gnt_buf_fini(&expects);
    return false;
}

static void set_scalar(struct walk *w, const struct gnt_option *row, void *values)
{
    struct gnt_why why;
    gnt_err err = gnt_option_set(row, values, scalar(w), &why);
    if (err == GNT_INVALID)
        report(w, here(w), "%s: %s", w->where, why.text);
    else if (err)
        stop(w, err);
}

/* A map of a list of maps. */
static void read_struct(struct walk *w, const struct gnt_option *row, void *values)
{
    struct gnt_why why;
    void *item;
    const uint32_t line = (uint32_t)here(w).line;
    gnt_err err = gnt_option_list_add(row, values, &item, &why);
    if (!err) {
        if (row->items->line)
            memcpy((char *)item + row->items->line, &line, sizeof line);
        read_map(w, row->items, "", item);
    } else if (err == GNT_FULL) {
        report(w, here(w), "%s: %s", w->where, why.text);
        skip(w);
    } else {
        stop(w, err);
    }
}

static void read_item(struct walk *w, const struct gnt_option *row, void *values)
{
    bool is_scalar = w->event.type == YAML_SCALAR_EVENT && !is_nothing(w);
    if (row->kind == GNT_OPTION_STRINGS && is_scalar) {
        set_scalar(w, row, values);
    } else if (row->kind == GNT_OPTION_MAPS && w->event.type == YAML_MAPPING_START_EVENT) {
        read_struct(w, row, values);
    } else {
        if (row->kind == GNT_OPTION_STRINGS)
            report(w, here(w), "%s: expected a text, got %s", w->where, node_name(w));
        else
            report(w, here(w), "%s: expected a map such as {%s: ...}, got %s", w->where,
                   row->items->rows[0].path, node_name(w));
        skip(w);
    }
}

static void read_list(struct walk *w, const struct gnt_option *row, void *values)
{
    struct place start = here(w);
    if (row->kind == GNT_OPTION_STRINGS && w->event.type == YAML_SCALAR_EVENT && !is_nothing(w)) {
        gnt_option_list_clear(row, values); /* one text alone */
        set_scalar(w, row, values);
        return;
    }
    if (!is_node(w, row, YAML_SEQUENCE_START_EVENT))
        return;
    gnt_option_list_clear(row, values);
    size_t index = 0;
    for (; next(w) && w->event.type != YAML_SEQUENCE_END_EVENT; index++) {
        size_t size = enter(w, "[%zu]", index);
        read_item(w, row, values);
        leave(w, size);
    }
    if (!w->err && index < row->min)
        report(w, start, "%s: expected at least %zu item%s", w->where, (size_t)row->min,
               row->min == 1 ? "" : "s");
}

static void read_value(struct walk *w, const struct gnt_option *row, void *values)
{
    if (row->kind == GNT_OPTION_STRINGS || row->kind == GNT_OPTION_MAPS)
        read_list(w, row, values);
    else if (is_node(w, row, YAML_SCALAR_EVENT))
        set_scalar(w, row, values);
}

/* A map inside of the set of values: "limits:".  Nothing at all is an empty one, as is left over
 * when all that was in it has been commented out. */
static void read_nested(struct walk *w, const struct gnt_option_table *table, const char *prefix,
                        const char *key, void *values)
{
    char inner[KEY_CHARS * 2];
    if (w->event.type == YAML_MAPPING_START_EVENT) {
        (void)snprintf(inner, sizeof inner, "%s%s.", prefix, key);
        read_map(w, table, inner, values);
    } else if (!is_nothing(w)) {
        report(w, here(w), "%s: expected a map of options, got %s", w->where, node_name(w));
        skip(w);
    }
}

/* Reads the value of KEY, which stood at PLACE; the current event begins it. */
static void read_pair(struct walk *w, const struct gnt_option_table *table, const char *prefix,
                      void *values, const char *key, struct place place, struct seen *seen)
{
    bool nested;
    const struct gnt_option *row = find(table, prefix, key, &nested);
    if (!row) {
        report_unknown(w, table, prefix, key, place);
        skip(w);
        return;
    }
    size_t size = enter(w, "%s%s", *w->where ? "." : "", key);
    size_t *line = &seen->line[row - table->rows];
    if (*line) {
        report(w, place, "%s: given twice, first in line %zu", w->where, *line);
        skip(w);
    } else {
        *line = place.line;
        if (nested)
            read_nested(w, table, prefix, key, values);
        else
            read_value(w, row, values);
    }
    leave(w, size);
}

static void report_missing(struct walk *w, const struct gnt_option_table *table, const char *prefix,
                           const struct seen *seen, struct place place)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *key = below(&table->rows[i], prefix);
        if (key && table->rows[i].required && seen->line[i] == 0)
            report(w, place, "%s: '%s' is missing", w->where, key);
    }
}

/* The key that the current event is, printable; false (reported and skipped) if it cannot be one.
 */
static bool read_key(struct walk *w, char key[KEY_CHARS])
{
    if (w->event.type == YAML_SCALAR_EVENT) {
        gnt_utf8_printable(scalar(w), key, KEY_CHARS);
        return true;
    }
    report(w, here(w), "expected the name of an option, got %s", node_name(w));
    skip(w);
    return false;
}

/* Reads the map that the current event begins. */
static void read_map(struct walk *w, const struct gnt_option_table *table, const char *prefix,
                     void *values)
{
    struct seen seen = {{0}};
    struct place start = here(w);
    while (next(w) && w->event.type != YAML_MAPPING_END_EVENT) {
        char key[KEY_CHARS];
        struct place place = here(w);
        bool is_key = read_key(w, key);
        if (!next(w))
            return;
        if (is_key)
            read_pair(w, table, prefix, values, key, place, &seen);
        else
            skip(w);
    }
    if (!w->err)
        report_missing(w, table, prefix, &seen, start);
}

/* --- the whole text --- */

static void read_root(struct walk *w, const struct gnt_option_table *table, void *values)
{
    if (w->event.type == YAML_MAPPING_START_EVENT) {
        read_map(w, table, "", values);
    } else if (!is_nothing(w)) {
        report(w, here(w), "expected a map of options, got %s", node_name(w));
        skip(w);
    }
}

/* Stream start, documents (each a start, a node, an end), stream end. */
static void read_stream(struct walk *w, const struct gnt_option_table *table, void *values)
{
    bool had_one = false;
    while (next(w) && w->event.type != YAML_STREAM_END_EVENT) {
        if (w->event.type != YAML_DOCUMENT_START_EVENT)
            continue;
        if (had_one) {
            report(w, here(w), "expected one document, got a second");
            stop(w, GNT_INVALID);
        } else if (next(w)) {
            read_root(w, table, values);
        }
        had_one = true;
    }
}

static gnt_err walk(struct gnt_slice text, const char *name, const struct gnt_option_table *table,
                    void *values, struct gnt_diag *diag)
{
    struct walk w = {.text = text, .name = name, .diag = diag};
    if (!yaml_parser_initialize(&w.parser))
        return GNT_NOMEM;
    yaml_parser_set_input_string(&w.parser, text.data ? text.data : (const uint8_t *)"", text.size);
    read_stream(&w, table, values);
    yaml_event_delete(&w.event);
    yaml_parser_delete(&w.parser);
    return w.err;
}

gnt_err gnt_yaml_parse(struct gnt_slice text, const char *name,
                       const struct gnt_option_table *table, void *values, struct gnt_diag *diag)
{
    if (text.size > GNT_YAML_MAX_BYTES) {
        gnt_diag_add(diag, "%s: over 1MiB, which is too large for a configuration", name);
        return diag->nomem ? GNT_NOMEM : GNT_INVALID;
    }
    void *fresh = malloc(table->size);
    if (!fresh)
        return GNT_NOMEM;
    size_t mistakes = diag->mistakes;
    gnt_err err = gnt_options_init(table, fresh);
    if (err) {
        free(fresh);
        return err;
    }
    err = walk(text, name, table, fresh, diag);
    if (!err && diag->mistakes > mistakes)
        err = GNT_INVALID;
    if (diag->nomem)
        err = GNT_NOMEM;
    if (err) {
        gnt_options_fini(table, fresh);
    } else {
        gnt_options_fini(table, values);
        memcpy(values, fresh, table->size);
    }
    free(fresh);
    return err;
}

/* The whole file, or one byte more than is allowed of a longer one. */
static gnt_err read_file(const char *path, struct gnt_buf *out, int *error_number)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gnt_err err = fd < 0 ? GNT_IO : gnt_file_read(fd, GNT_YAML_MAX_BYTES, out);
    *error_number = errno;
    if (fd >= 0)
        (void)close(fd);
    return err;
}

gnt_err gnt_yaml_load(const char *path, const struct gnt_option_table *table, void *values,
                      struct gnt_diag *diag)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    int error_number = 0;
    gnt_err err = read_file(path, &text, &error_number);
    if (err == GNT_IO) {
        gnt_diag_add(diag, "%s: cannot be read: %s", path, strerror(error_number));
        err = diag->nomem ? GNT_NOMEM : GNT_INVALID;
    } else if (!err) {
        err = gnt_yaml_parse(gnt_buf_slice(&text), path, table, values, diag);
    }
    gnt_buf_fini(&text);
    return err;
}
