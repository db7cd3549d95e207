#include "cli/number.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <stdio.h>

/* What thermometers measure, and what a TMP102's limit registers hold [TMP102 6.5.4]. */
enum { MILLI_LEAST = -55000, MILLI_MOST = 150000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Appends a digit; false: it does not fit. */
static bool push(int64_t *value, char digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit - '0', value);
}

gnt_err gnt_number_decimal(const char *text, unsigned decimals, int64_t *value)
{
    const char *at = text + (*text == '-');
    int64_t number = 0;
    bool digits = false, fits = true;
    for (; is_digit(*at); at++, digits = true)
        fits = fits && push(&number, *at);
    if (*at == '.') {
        for (at++; is_digit(*at); at++, digits = true) {
            if (decimals == 0)
                continue;
            fits = fits && push(&number, *at);
            decimals--;
        }
    }
    for (; decimals > 0; decimals--)
        fits = fits && push(&number, '0');
    if (!digits || !fits || *at)
        return GNT_INVALID;
    *value = *text == '-' ? -number : number;
    return GNT_OK;
}

static int refuse(const struct gnt_option *row, const char *expected, int count, char *const *words,
                  struct gnt_why *why)
{
    char shown[64];
    if (count < 1)
        gnt_why_set(why, "a value is missing: --%s %s", row->flag, row->metavar);
    else
        gnt_why_set(why, "expected %s, got '%s'", expected,
                    gnt_utf8_printable(gnt_slice_str(words[0]), shown, sizeof shown));
    return GNT_INVALID;
}

int gnt_number_take_seconds(const struct gnt_option *row, void *values, int count,
                            char *const *words, struct gnt_why *why)
{
    int64_t ns;
    if (count < 1 || gnt_number_decimal(words[0], 9, &ns) || ns < 0)
        return refuse(row, "seconds such as 2 or 0.5", count, words, why);
    uint64_t *field = (void *)((char *)values + row->offset);
    *field = (uint64_t)ns;
    return 1;
}

int gnt_number_take_celsius(const struct gnt_option *row, void *values, int count,
                            char *const *words, struct gnt_why *why)
{
    int64_t milli;
    if (count < 1 || gnt_number_decimal(words[0], 3, &milli) || milli < MILLI_LEAST ||
        milli > MILLI_MOST)
        return refuse(row, "degrees Celsius from -55 to 150, such as 28.5", count, words, why);
    struct gnt_number_celsius *field = (void *)((char *)values + row->offset);
    *field = (struct gnt_number_celsius){true, (int32_t)milli};
    return 1;
}

char *gnt_number_print_milli(int32_t milli, char out[GNT_NUMBER_CHARS])
{
    int64_t size = milli < 0 ? -(int64_t)milli : milli;
    int length = snprintf(out, GNT_NUMBER_CHARS, "%s%lld.%03lld", milli < 0 ? "-" : "",
                          (long long)(size / 1000), (long long)(size % 1000));
    while (out[length - 1] == '0' && out[length - 2] != '.')
        out[--length] = '\0';
    return out;
}
