/* Numbers with units, and truth, as people write them in files and on command lines.  Nothing is
 * allocated; any thread. */
#ifndef GNT_CONF_SCALAR_H
#define GNT_CONF_SCALAR_H

#include "base/err.h"
#include "base/slice.h"

struct gnt_unit {
    const char *name; /* "" for a number without a unit */
    uint64_t factor;
};

/* Units from the smallest to the largest, ended by a NULL name.  0 needs no unit anywhere. */
extern const struct gnt_unit gnt_units_none[];     /* plain numbers */
extern const struct gnt_unit gnt_units_size[];     /* bytes: 4096, 4096B, 64KiB, 1MiB, 2GiB */
extern const struct gnt_unit gnt_units_duration[]; /* milliseconds: 500ms, 10s, 5m, 2h, 7d */
extern const struct gnt_unit gnt_units_seconds[];  /* seconds: 10s, 5m, 2h, 7d */

/* Decimal digits and one of UNITS, nothing around or between them.
 *   GNT_OK       *value in the smallest unit.
 *   GNT_INVALID  it is not that.
 *   GNT_TOOBIG   it is, but over UINT64_MAX. */
GNT_MUST gnt_err gnt_scalar_number(struct gnt_slice text, const struct gnt_unit *units,
                                   uint64_t *value);

/* true, yes, on; false, no, off; in upper or lower case.  Anything else is GNT_INVALID. */
GNT_MUST gnt_err gnt_scalar_bool(struct gnt_slice text, bool *value);

enum { GNT_SCALAR_CHARS = 32 };

/* VALUE in the largest of UNITS that leaves no remainder; gnt_scalar_number reads it back.
 * Returns OUT. */
char *gnt_scalar_print(uint64_t value, const struct gnt_unit *units, char out[GNT_SCALAR_CHARS]);

#endif
