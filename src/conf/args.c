#include "conf/args.h"
#include "base/assert.h"
#include "base/utf8.h"

#include <stdio.h>

/* The options that every command has. */
static const struct gnt_option own_rows[] = {
    {.flag = "help", .letter = 'h', .implied = "", .help = "Shows this text."},
    {.flag = "version", .implied = "", .help = "Shows the version."},
};

enum { OWN_HELP, OWN_VERSION, OWN_ROWS };

struct reading {
    const struct gnt_args *args;
    int argc, at; /* argv[at] is the next word */
    char **argv;
    void *values;
    struct gnt_args_result *result;
    struct gnt_diag *diag;
    bool ended; /* "--" stood there */
    gnt_err err;
    size_t mistakes; /* that were there before */
    bool seen[GNT_OPTION_ROWS];
};

/* One option as it stood on the command line. */
struct given {
    const struct gnt_option *row;
    char shown[64]; /* "--port" or "-p" */
    char *attached; /* the value in the same word, NULL if none */
};

static const struct gnt_option *find_letter(const struct gnt_args *args, char letter)
{
    for (size_t i = 0; i < args->table.count; i++) {
        if (args->table.rows[i].letter == letter)
            return &args->table.rows[i];
    }
    for (size_t i = 0; i < OWN_ROWS; i++) {
        if (own_rows[i].letter == letter)
            return &own_rows[i];
    }
    return NULL;
}

static const struct gnt_option *find_flag(const struct gnt_args *args, struct gnt_slice name)
{
    for (size_t i = 0; i < args->table.count; i++) {
        if (args->table.rows[i].flag && gnt_slice_eq_str(name, args->table.rows[i].flag))
            return &args->table.rows[i];
    }
    for (size_t i = 0; i < OWN_ROWS; i++) {
        if (gnt_slice_eq_str(name, own_rows[i].flag))
            return &own_rows[i];
    }
    return NULL;
}

static void report_unknown(struct reading *r, struct gnt_slice name)
{
    char shown[64];
    struct gnt_nearest near = gnt_nearest(gnt_utf8_printable(name, shown, sizeof shown));
    for (size_t i = 0; i < r->args->table.count; i++) {
        if (r->args->table.rows[i].flag)
            gnt_nearest_offer(&near, r->args->table.rows[i].flag);
    }
    for (size_t i = 0; i < OWN_ROWS; i++)
        gnt_nearest_offer(&near, own_rows[i].flag);
    if (near.word)
        gnt_diag_add(r->diag, "unknown option '--%s', did you mean '--%s'?", shown, near.word);
    else
        gnt_diag_add(r->diag, "unknown option '--%s', see --help", shown);
}

/* Takes WORD ("-p1883", "--port=1883") apart; false if there is no such option. */
static bool recognise(struct reading *r, char *word, struct given *given)
{
    if (word[1] != '-') {
        given->row = find_letter(r->args, word[1]);
        given->attached = word[2] ? word + 2 : NULL;
        gnt_utf8_printable(gnt_slice(word, 2), given->shown, sizeof given->shown);
        if (!given->row) {
            char shown[64];
            gnt_diag_add(r->diag, "unknown option '%s', see --help",
                         gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
        }
        return given->row != NULL;
    }
    char *equals = strchr(word, '=');
    struct gnt_slice name =
        gnt_slice(word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word) - 2);
    given->row = find_flag(r->args, name);
    given->attached = equals ? equals + 1 : NULL;
    if (!given->row)
        report_unknown(r, name);
    else
        (void)snprintf(given->shown, sizeof given->shown, "--%s", given->row->flag);
    return given->row != NULL;
}

static const char *implied_by(const struct gnt_option *row)
{
    return row->kind == GNT_OPTION_BOOL ? "true" : row->implied;
}

/* The first flag of a list replaces the list. */
static void begin_list(struct reading *r, const struct gnt_option *row)
{
    bool *seen = &r->seen[row - r->args->table.rows];
    if (!*seen && (row->kind == GNT_OPTION_STRINGS || row->kind == GNT_OPTION_MAPS))
        gnt_option_list_clear(row, r->values);
    *seen = true;
}

static void report(struct reading *r, const struct given *given, gnt_err err,
                   const struct gnt_why *why)
{
    if (err == GNT_INVALID)
        gnt_diag_add(r->diag, "%s: %s", given->shown, why->text);
    else if (err)
        r->err = err;
}

/* An option that takes as many words as its handler says. */
static void take_words(struct reading *r, const struct given *given)
{
    struct gnt_why why = {""};
    char *const *words = given->attached ? &given->attached : r->argv + r->at;
    int count = given->attached ? 1 : r->argc - r->at;
    int taken = given->row->take(given->row, r->values, count, words, &why);
    if (taken < 0) {
        report(r, given, (gnt_err)taken, &why);
        r->at = r->argc; /* nobody knows which of the words behind it were meant for it */
        return;
    }
    GNT_ASSERT(taken <= count);
    if (!given->attached)
        r->at += taken;
}

static void take_value(struct reading *r, const struct given *given)
{
    const struct gnt_option *row = given->row;
    const char *value = given->attached ? given->attached : implied_by(row);
    if (!value && r->at < r->argc)
        value = r->argv[r->at++];
    if (!value) {
        gnt_diag_add(r->diag, "%s: a value is missing: %s %s", given->shown, given->shown,
                     row->metavar ? row->metavar : "VALUE");
        return;
    }
    struct gnt_why why = {""};
    begin_list(r, row);
    report(r, given, gnt_option_set(row, r->values, gnt_slice_str(value), &why), &why);
}

static void take_own(struct reading *r, const struct given *given)
{
    if (given->attached)
        gnt_diag_add(r->diag, "%s takes no value", given->shown);
    else if (given->row == &own_rows[OWN_HELP])
        r->result->help = true;
    else
        r->result->version = true;
}

static void read_word(struct reading *r)
{
    char *word = r->argv[r->at++];
    struct given given;
    if (!r->ended && strcmp(word, "--") == 0) {
        r->ended = true;
    } else if (r->ended || word[0] != '-' || word[1] == '\0') {
        r->result->words[r->result->word_count++] = word; /* never ahead of where we read */
    } else if (recognise(r, word, &given)) {
        if (given.row >= own_rows && given.row < own_rows + OWN_ROWS)
            take_own(r, &given);
        else if (given.row->kind == GNT_OPTION_TAKE)
            take_words(r, &given);
        else
            take_value(r, &given);
    }
}

static void check_words(struct reading *r)
{
    char shown[64];
    size_t count = r->result->word_count;
    if (r->diag->mistakes > r->mistakes) /* a word may belong to an option that is misspelt */
        return;
    for (size_t i = r->args->words_max; i < count; i++)
        gnt_diag_add(r->diag, "unexpected word '%s', see --help",
                     gnt_utf8_printable(gnt_slice_str(r->result->words[i]), shown, sizeof shown));
    if (count < r->args->words_min)
        gnt_diag_add(r->diag, "%zu word%s missing, see --help", r->args->words_min - count,
                     r->args->words_min - count == 1 ? " is" : "s are");
}

gnt_err gnt_args_parse(const struct gnt_args *args, int argc, char **argv, void *values,
                       struct gnt_args_result *result, struct gnt_diag *diag)
{
    GNT_ASSERT(args->table.count <= GNT_OPTION_ROWS);
    *result = (struct gnt_args_result){.words = argv};
    struct reading r = {.args = args,
                        .argc = argc,
                        .argv = argv,
                        .values = values,
                        .result = result,
                        .diag = diag,
                        .mistakes = diag->mistakes};
    while (!r.err && r.at < argc && !result->help && !result->version)
        read_word(&r);
    if (!r.err && !result->help && !result->version)
        check_words(&r);
    if (r.err || diag->nomem)
        return GNT_NOMEM;
    /* Who asks for help gets it, whatever else stands there. */
    if (result->help || result->version)
        return GNT_OK;
    return diag->mistakes > r.mistakes ? GNT_INVALID : GNT_OK;
}

/* --- help --- */

enum { HELP_COLUMN = 30 }; /* where the texts begin */

/* "  -p, --port PORT", and how wide that is. */
static gnt_err put_flag(const struct gnt_option *row, bool letter, struct gnt_buf *out,
                        size_t *width)
{
    size_t before = gnt_buf_size(out);
    gnt_err err = letter ? gnt_text_put(out, "  -%c, --%s", row->letter, row->flag)
                         : gnt_text_put(out, "      --%s", row->flag);
    if (!err && row->metavar)
        err = gnt_text_put(out, implied_by(row) ? "[=%s]" : " %s", row->metavar);
    *width = gnt_buf_size(out) - before;
    return err;
}

/* The help sentence with the default behind it, where one is worth telling. */
static gnt_err put_sentence(const struct gnt_option *row, struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "%s", row->help);
    if (!err && row->fallback && row->kind != GNT_OPTION_BOOL)
        err = gnt_text_put(out, " (default: %s)", row->fallback);
    return err ? err : gnt_buf_put(out, gnt_slice("", 1));
}

static gnt_err put_option(const struct gnt_option *row, bool letter, size_t columns,
                          struct gnt_buf *out)
{
    size_t width;
    struct gnt_buf sentence = {NULL, 0, 0, 0};
    gnt_err err = put_flag(row, letter, out, &width);
    if (!err && width + 2 > HELP_COLUMN) {
        err = gnt_text_put(out, "\n");
        width = 0;
    }
    if (!err)
        err = gnt_text_put(out, "%*s", (int)(HELP_COLUMN - width), "");
    if (!err)
        err = put_sentence(row, &sentence);
    if (!err)
        err = gnt_text_wrap(out, (const char *)gnt_buf_slice(&sentence).data, HELP_COLUMN,
                            HELP_COLUMN, columns);
    gnt_buf_fini(&sentence);
    return err;
}

static gnt_err put_options(const struct gnt_args *args, size_t columns, struct gnt_buf *out)
{
    const char *group = NULL;
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < args->table.count; i++) {
        const struct gnt_option *row = &args->table.rows[i];
        if (!row->flag)
            continue;
        const char *own = row->group ? row->group : "Options";
        if (!group || strcmp(group, own) != 0)
            err = gnt_text_put(out, "\n%s:\n", own);
        group = own;
        if (!err)
            err = put_option(row, row->letter, columns, out);
    }
    if (!err)
        err = gnt_text_put(out, "\nHelp:\n");
    for (size_t i = 0; !err && i < OWN_ROWS; i++) {
        bool letter = own_rows[i].letter && find_letter(args, own_rows[i].letter) == &own_rows[i];
        err = put_option(&own_rows[i], letter, columns, out);
    }
    return err;
}

gnt_err gnt_args_help(const struct gnt_args *args, size_t width, struct gnt_buf *out)
{
    GNT_ASSERT(width >= 40);
    gnt_err err = gnt_text_put(out, "Usage: ");
    if (!err)
        err = gnt_text_wrap(out, args->usage, 7, 7, width);
    if (!err && args->about)
        err = gnt_text_put(out, "\n");
    if (!err && args->about)
        err = gnt_text_wrap(out, args->about, 0, 0, width);
    if (!err)
        err = put_options(args, width, out);
    if (!err && args->footer)
        err = gnt_text_put(out, "\n%s\n", args->footer);
    return err;
}
