/* An acl_file as mosquitto 2.0.11 reads it. */

#include "auth/access_private.h"
#include "base/assert.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdlib.h>

enum { LINE_MAX_SIZE = 65535 + 256 };

enum { READ = GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE, WRITE = GNT_VERB_PUBLISH };

static const struct {
    const char *word;
    uint8_t verbs;
    bool permits;
} kinds[] = {
    {"read", READ, true},
    {"write", WRITE, true},
    {"readwrite", READ | WRITE, true},
    {"deny", READ | WRITE, false},
};

struct reading {
    struct gnt_access *access;
    struct gnt_slice user; /* in a buffer of its own */
    uint8_t *kept;
};

static struct gnt_slice trimmed(struct gnt_slice text)
{
    while (text.size && isspace(text.data[text.size - 1]))
        text.size--;
    while (text.size && isspace(text.data[0]))
        text = gnt_slice_skip(text, 1);
    return text;
}

/* The first word of *rest, which ends at a space; the rest is trimmed. */
static struct gnt_slice take_word(struct gnt_slice *rest)
{
    while (rest->size && rest->data[0] == ' ')
        *rest = gnt_slice_skip(*rest, 1);
    const uint8_t *space = rest->size ? memchr(rest->data, ' ', rest->size) : NULL;
    struct gnt_slice word =
        gnt_slice(rest->data, space ? (size_t)(space - rest->data) : rest->size);
    *rest = trimmed(gnt_slice_skip(*rest, word.size));
    return word;
}

/* The rules of the user whom the lines are about. */
static gnt_err rows_of(const struct reading *r, struct gnt_access_rows **rows)
{
    struct gnt_access_user *user = gnt_access_user(r->access, r->user);
    gnt_err err = GNT_OK;
    if (!user) {
        user = calloc(1, sizeof *user + r->user.size);
        if (!user)
            return GNT_NOMEM;
        user->name_size = r->user.size;
        if (r->user.size)
            memcpy(user->name, r->user.data, r->user.size);
        err = gnt_map_insert(&r->access->users, &user->node, gnt_hash(r->user));
    }
    if (err)
        free(user);
    else
        *rows = &user->rows;
    return err;
}

static gnt_err take_rule(struct reading *r, struct gnt_slice rest, bool pattern, const char **why)
{
    static const struct gnt_access_marks marks = {"%c", "%u"};
    struct gnt_slice kind = take_word(&rest), filter = rest;
    size_t i = 2; /* readwrite */
    if (kind.size == 0) {
        *why = "expected a topic filter";
        return GNT_MALFORMED;
    }
    if (filter.size == 0) { /* it is the only word */
        filter = kind;
    } else {
        for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            if (gnt_slice_eq_str(kind, kinds[i].word))
                break;
        if (i == sizeof kinds / sizeof kinds[0]) {
            *why = "expected read, write, readwrite or deny before the filter";
            return GNT_MALFORMED;
        }
    }
    struct gnt_access_rows *rows = &r->access->patterns;
    gnt_err err = pattern ? GNT_OK : rows_of(r, &rows);
    if (!err)
        err = gnt_access_append(rows, gnt_slice(NULL, 0), kinds[i].verbs, kinds[i].permits, filter,
                                pattern ? &marks : NULL, why);
    return err == GNT_INVALID ? GNT_MALFORMED : err;
}

static gnt_err take_user(struct reading *r, struct gnt_slice name, const char **why)
{
    if (name.size == 0 || !gnt_utf8_valid(name)) {
        *why = "expected a user name";
        return GNT_MALFORMED;
    }
    uint8_t *kept = malloc(name.size);
    if (!kept)
        return GNT_NOMEM;
    memcpy(kept, name.data, name.size);
    free(r->kept);
    r->kept = kept;
    r->user = gnt_slice(kept, name.size);
    return GNT_OK;
}

static gnt_err take_line(void *self, struct gnt_slice line, const char **why)
{
    struct reading *r = self;
    while (line.size && isspace(line.data[line.size - 1]))
        line.size--;
    if (line.size == 0)
        return GNT_OK;
    struct gnt_slice word = take_word(&line);
    if (gnt_slice_eq_str(word, "topic"))
        return take_rule(r, line, false, why);
    if (gnt_slice_eq_str(word, "pattern"))
        return take_rule(r, line, true, why);
    if (gnt_slice_eq_str(word, "user"))
        return take_user(r, line, why);
    *why = "expected user, topic, pattern or, at its very beginning, #";
    return GNT_MALFORMED;
}

gnt_err gnt_access_load(struct gnt_access *access, const char *file, gnt_lines_report *report,
                        void *context)
{
    struct reading r = {.access = access};
    const struct gnt_lines lines = {.file = file,
                                    .line_max = LINE_MAX_SIZE,
                                    .take = take_line,
                                    .self = &r,
                                    .report = report,
                                    .context = context};
    size_t bad;
    GNT_ASSERT(!access->sealed);
    gnt_err err = gnt_lines_read(&lines, &bad);
    free(r.kept);
    return !err && bad ? GNT_MALFORMED : err;
}
