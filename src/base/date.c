#include "base/date.h"

#include <stdio.h>

/* Milliseconds since 1970 of the years 0 to 9999, and days of the Gregorian calendar. */
#define DATE_FIRST   INT64_C(-62167219200000)
#define DATE_LAST    INT64_C(253402300799999)
#define DAY_MS       INT64_C(86400000)
#define DAYS_TO_1970 719468 /* from the first of March of the year 0 */
#define DAYS_400Y    146097
#define DAYS_153     153 /* of five months from March on, which repeat */

/* The year, month and day of DAY, in days since 1970.  Years are counted from March on, so that the
 * day that is not in every year comes last. */
static void date_of(int64_t day, int out[3])
{
    day += DAYS_TO_1970;
    const int64_t era = (day < 0 ? day - (DAYS_400Y - 1) : day) / DAYS_400Y;
    const int64_t in_era = day - era * DAYS_400Y;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (DAYS_400Y - 1)) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * in_year + 2) / DAYS_153; /* 0 is March */
    out[0] = (int)(year + era * 400 + (month > 9));
    out[1] = (int)(month > 9 ? month - 9 : month + 3);
    out[2] = (int)(in_year - (DAYS_153 * month + 2) / 5 + 1);
}

size_t gnt_date_print(int64_t unix_ms, char out[GNT_DATE_SIZE])
{
    if (unix_ms < DATE_FIRST || unix_ms > DATE_LAST)
        return 0;
    const int ms = (int)((unix_ms % DAY_MS + DAY_MS) % DAY_MS);
    int date[3];
    date_of((unix_ms - ms) / DAY_MS, date);
    const int size =
        snprintf(out, GNT_DATE_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", date[0], date[1],
                 date[2], ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    return (size_t)size;
}
