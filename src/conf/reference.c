#include "conf/reference.h"
#include "conf/scalar.h"

static gnt_err put_range(const struct gnt_option *row, const struct gnt_unit *units,
                         const char *lead, struct gnt_buf *out)
{
    char min[GNT_SCALAR_CHARS], max[GNT_SCALAR_CHARS];
    gnt_err err = gnt_text_put(out, "%s%s to %s", lead, gnt_scalar_print(row->min, units, min),
                               gnt_scalar_print(row->max, units, max));
    if (!err && row->unit)
        err = gnt_text_put(out, " %s", row->unit);
    return err;
}

/* The words of a row, each value by its first. */
static gnt_err put_words(const struct gnt_option_word *words, const char *between,
                         struct gnt_buf *out)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && words && words[i].word; i++) {
        if (i == 0 || words[i].value != words[i - 1].value)
            err = gnt_text_put(out, "%s`%s`", i ? ", " : between, words[i].word);
    }
    return err;
}

static gnt_err put_values(const struct gnt_option *row, struct gnt_buf *out)
{
    gnt_err err = GNT_OK;
    switch (row->kind) {
    case GNT_OPTION_BOOL: return gnt_text_put(out, "`true`, `false`");
    case GNT_OPTION_WORD: return put_words(row->words, "", out);
    case GNT_OPTION_INTEGER: err = put_range(row, gnt_units_none, "", out); break;
    case GNT_OPTION_SIZE: err = put_range(row, gnt_units_size, "size, ", out); break;
    case GNT_OPTION_DURATION: err = put_range(row, gnt_units_duration, "duration, ", out); break;
    case GNT_OPTION_SECONDS:
        err = put_range(row, gnt_units_seconds, "duration in whole seconds, ", out);
        break;
    case GNT_OPTION_STRING: return gnt_text_put(out, "%s", row->metavar ? row->metavar : "text");
    case GNT_OPTION_STRINGS: return gnt_text_put(out, "list of texts");
    case GNT_OPTION_MAPS: return gnt_text_put(out, "list of maps");
    case GNT_OPTION_TAKE: return GNT_OK;
    }
    return err ? err : put_words(row->words, ", ", out);
}

static gnt_err put_flag(const struct gnt_option *row, struct gnt_buf *out)
{
    if (!row->flag)
        return GNT_OK;
    gnt_err err = gnt_text_put(out, "`--%s", row->flag);
    if (!err && row->metavar)
        err = gnt_text_put(out, row->implied ? "[=%s]" : " %s", row->metavar);
    if (!err)
        err = row->letter ? gnt_text_put(out, "`, `-%c`", row->letter) : gnt_text_put(out, "`");
    return err;
}

static gnt_err put_row(const struct gnt_option *row, struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "| `%s` | ", row->path);
    if (!err)
        err = put_values(row, out);
    if (!err)
        err = row->fallback   ? gnt_text_put(out, " | `%s` | ", row->fallback)
              : row->required ? gnt_text_put(out, " | required | ")
                              : gnt_text_put(out, " | | ");
    if (!err)
        err = put_flag(row, out);
    if (!err)
        err = gnt_text_put(out, " | %s | %s |\n", row->restart ? "at a restart" : "at a reload",
                           row->help);
    return err;
}

gnt_err gnt_reference_options(const struct gnt_option_table *table, struct gnt_buf *out)
{
    gnt_err err =
        gnt_text_put(out,
                     "| Option | Values | Default | Command line | A change applies | Meaning |\n"
                     "|---|---|---|---|---|---|\n");
    for (size_t i = 0; !err && i < table->count; i++) {
        if (table->rows[i].path)
            err = put_row(&table->rows[i], out);
    }
    return err;
}

gnt_err gnt_reference_flags(const struct gnt_option_table *table, struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "| Command line | Meaning |\n|---|---|\n");
    for (size_t i = 0; !err && i < table->count; i++) {
        const struct gnt_option *row = &table->rows[i];
        if (row->path || !row->flag)
            continue;
        err = gnt_text_put(out, "| ");
        if (!err)
            err = put_flag(row, out);
        if (!err)
            err = gnt_text_put(out, " | %s |\n", row->help);
    }
    return err;
}
