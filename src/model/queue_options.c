#include "model/queue_options.h"

#include <inttypes.h>
#include <stdio.h>

const struct gnt_queue_option gnt_queue_option_rows[GNT_QUEUE_OPTION_ROWS] = {
#define ROW(field, name, kind, fallback, min, max, unit, help) \
    {name, GNT_QUEUE_OPTION_##kind, fallback, min, max, unit, help},
    GNT_QUEUE_OPTIONS(ROW)
#undef ROW
};

static const size_t offsets[] = {
#define OFFSET(field, ...) offsetof(struct gnt_queue_options, field),
    GNT_QUEUE_OPTIONS(OFFSET)
#undef OFFSET
};

struct gnt_queue_options gnt_queue_options_default(void)
{
    return (struct gnt_queue_options){
#define DEFAULT(field, name, kind, fallback, min, max, unit, help) .field = fallback,
        GNT_QUEUE_OPTIONS(DEFAULT)
#undef DEFAULT
    };
}

uint64_t gnt_queue_options_get(const struct gnt_queue_options *options, size_t row)
{
    uint64_t value;
    memcpy(&value, (const char *)options + offsets[row], sizeof value);
    return value;
}

gnt_err gnt_queue_options_set(struct gnt_queue_options *options, size_t row, uint64_t value)
{
    const struct gnt_queue_option *o = &gnt_queue_option_rows[row];
    if (value < o->min || value > o->max)
        return GNT_INVALID;
    memcpy((char *)options + offsets[row], &value, sizeof value);
    return GNT_OK;
}

size_t gnt_queue_option_named(struct gnt_slice name)
{
    size_t row = 0;
    while (row < GNT_QUEUE_OPTION_ROWS &&
           !gnt_slice_eq(gnt_slice_str(gnt_queue_option_rows[row].name), name))
        row++;
    return row;
}

static const char *const overflows[] = {
#define WORD(name, word) word,
    GNT_QUEUE_OVERFLOWS(WORD)};
static const char *const durables[] = {GNT_QUEUE_DURABLES(WORD)
#undef WORD
};

struct unit {
    uint64_t size;
    const char *name;
};
static const struct unit
    durations[] = {{UINT64_C(86400000), "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}},
    sizes[] = {
        {UINT64_C(1) << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, ""}};

/* In the largest unit that divides it. */
static void print_in(const struct unit *unit, uint64_t value, char out[GNT_QUEUE_OPTION_TEXT])
{
    while (value % unit->size)
        unit++;
    snprintf(out, GNT_QUEUE_OPTION_TEXT, "%" PRIu64 "%s", value / unit->size, unit->name);
}

const char *gnt_queue_option_text(size_t row, uint64_t value, char out[GNT_QUEUE_OPTION_TEXT])
{
    const char *word = NULL;
    switch (gnt_queue_option_rows[row].kind) {
    case GNT_QUEUE_OPTION_FLAG: word = value ? "true" : "false"; break;
    case GNT_QUEUE_OPTION_OVERFLOW: word = overflows[value]; break;
    case GNT_QUEUE_OPTION_DURABLE: word = durables[value]; break;
    case GNT_QUEUE_OPTION_DURATION:
    case GNT_QUEUE_OPTION_SIZE:
    case GNT_QUEUE_OPTION_COUNT: break;
    }
    if (word)
        snprintf(out, GNT_QUEUE_OPTION_TEXT, "%s", word);
    else if (value == 0)
        snprintf(out, GNT_QUEUE_OPTION_TEXT, "0");
    else if (gnt_queue_option_rows[row].kind == GNT_QUEUE_OPTION_COUNT)
        snprintf(out, GNT_QUEUE_OPTION_TEXT, "%" PRIu64, value);
    else
        print_in(gnt_queue_option_rows[row].kind == GNT_QUEUE_OPTION_SIZE ? sizes : durations,
                 value, out);
    return out;
}
