/* The patterns of LIKE: % is any text, also none, _ is one character, and a character behind the
 * escape character is itself.
 *
 * Matching takes time linear in text and pattern: what stands between two % is looked for once,
 * from left to right.  Where a _ is in it, it has at most GNT_LIKE_PIECE_MAX bytes, one for each
 * bit of a machine word, in which all places where it may be under way are followed at once.
 *
 * A character is a code point of UTF-8.  Of a text that is not UTF-8 the answer means nothing. */
#ifndef GNT_FILTER_LIKE_H
#define GNT_FILTER_LIKE_H

#include "base/err.h"
#include "base/slice.h"

enum { GNT_LIKE_PIECE_MAX = 64 };

/* Turns *pattern, valid UTF-8, in place into what gnt_like_matches takes; it does not grow.  ESCAPE
 * is one character, or empty.  GNT_INVALID: *why says why, in words that follow "a pattern". */
GNT_MUST gnt_err gnt_like_compile(uint8_t *pattern, size_t *size, struct gnt_slice escape,
                                  const char **why);

bool gnt_like_matches(struct gnt_slice pattern, struct gnt_slice text);

#endif
