/* UTF-8 as MQTT wants it: well-formed, no surrogates, no U+0000 [MQTT5 1.5.4]. */
#ifndef GNT_BASE_UTF8_H
#define GNT_BASE_UTF8_H

#include "base/slice.h"

/* Well-formed by RFC 3629 (shortest form, no surrogates, at most U+10FFFF) and without U+0000. */
bool gnt_utf8_valid(struct gnt_slice text);

/* Copies TEXT into OUT for a log or a terminal: control characters and bytes that are not UTF-8
 * become \xNN, and what does not fit ends in "...".  Always terminated; CAP at least 8.
 * Returns OUT. */
char *gnt_utf8_printable(struct gnt_slice text, char *out, size_t cap);

#endif
