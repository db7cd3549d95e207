#include "conf/scalar.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define MINUTE_S UINT64_C(60)
#define HOUR_S   (60 * MINUTE_S)
#define DAY_S    (24 * HOUR_S)

const struct gnt_unit gnt_units_none[] = {{"", 1}, {NULL, 0}};

const struct gnt_unit gnt_units_size[] = {
    {"", 1},
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {NULL, 0},
};

const struct gnt_unit gnt_units_duration[] = {
    {"ms", 1},           {"s", 1000}, {"m", 1000 * MINUTE_S}, {"h", 1000 * HOUR_S},
    {"d", 1000 * DAY_S}, {NULL, 0},
};

const struct gnt_unit gnt_units_seconds[] = {
    {"s", 1}, {"m", MINUTE_S}, {"h", HOUR_S}, {"d", DAY_S}, {NULL, 0},
};

gnt_err gnt_scalar_number(struct gnt_slice text, const struct gnt_unit *units, uint64_t *value)
{
    uint64_t number = 0;
    bool over = false;
    size_t digits = 0;
    for (; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9'; digits++)
        over |= __builtin_mul_overflow(number, UINT64_C(10), &number) ||
                __builtin_add_overflow(number, (uint64_t)(text.data[digits] - '0'), &number);
    if (digits == 0)
        return GNT_INVALID;

    struct gnt_slice unit = gnt_slice_skip(text, digits);
    if (unit.size == 0 && number == 0 && !over) {
        *value = 0;
        return GNT_OK;
    }
    for (; units->name; units++) {
        if (!gnt_slice_eq_str(unit, units->name))
            continue;
        if (over || __builtin_mul_overflow(number, units->factor, &number))
            return GNT_TOOBIG;
        *value = number;
        return GNT_OK;
    }
    return GNT_INVALID;
}

gnt_err gnt_scalar_bool(struct gnt_slice text, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},
                 {"false", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text.size == strlen(words[i].word) &&
            strncasecmp((const char *)text.data, words[i].word, text.size) == 0) {
            *value = words[i].value;
            return GNT_OK;
        }
    }
    return GNT_INVALID;
}

char *gnt_scalar_print(uint64_t value, const struct gnt_unit *units, char out[GNT_SCALAR_CHARS])
{
    const struct gnt_unit *best = units;
    for (const struct gnt_unit *u = units; u->name; u++) {
        if (value != 0 && u->factor > best->factor && value % u->factor == 0)
            best = u;
    }
    (void)snprintf(out, GNT_SCALAR_CHARS, "%" PRIu64 "%s", value / best->factor,
                   value == 0 ? "" : best->name);
    return out;
}
