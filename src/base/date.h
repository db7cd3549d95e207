/* A time of day as text, without a time zone, a locale or the C library's opinion on either. */
#ifndef GNT_BASE_DATE_H
#define GNT_BASE_DATE_H

#include <stddef.h>
#include <stdint.h>

enum { GNT_DATE_SIZE = 25 }; /* with the zero byte */

/* "2026-11-23T03:45:00.123Z", in ISO 8601, for milliseconds since 1970 in UTC; gives how many
 * characters, 0 for what is not in the years 0 to 9999. */
size_t gnt_date_print(int64_t unix_ms, char out[GNT_DATE_SIZE]);

#endif
