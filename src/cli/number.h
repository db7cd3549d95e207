/* Decimal numbers on the command line, exactly: no binary fractions in between. */
#ifndef GNT_CLI_NUMBER_H
#define GNT_CLI_NUMBER_H

#include "conf/option.h"

/* "-12.5" as an integer in units of 10^-DECIMALS; further digits are cut off.  GNT_INVALID: it is
 * not a decimal number, or beyond what an int64_t of that unit holds. */
GNT_MUST gnt_err gnt_number_decimal(const char *text, unsigned decimals, int64_t *value);

/* A row's `take`: seconds such as 0.5 into an uint64_t of nanoseconds. */
int gnt_number_take_seconds(const struct gnt_option *row, void *values, int count,
                            char *const *words, struct gnt_why *why);

/* A temperature that may have been given. */
struct gnt_number_celsius {
    bool given;
    int32_t milli;
};

/* A row's `take`: degrees from -55 to 150, such as 28.5, into a struct gnt_number_celsius. */
int gnt_number_take_celsius(const struct gnt_option *row, void *values, int count,
                            char *const *words, struct gnt_why *why);

enum { GNT_NUMBER_CHARS = 24 };

/* MILLI thousandths as a decimal number with at least one place: "21.375", "-0.5".  Returns OUT. */
char *gnt_number_print_milli(int32_t milli, char out[GNT_NUMBER_CHARS]);

#endif
