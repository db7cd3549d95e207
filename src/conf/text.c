#include "conf/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

void gnt_why_set(struct gnt_why *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
}

gnt_err gnt_text_put(struct gnt_buf *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        return GNT_INVALID;

    gnt_err err = gnt_buf_reserve(out, (size_t)size + 1); /* vsnprintf writes a terminator */
    if (err)
        return err;
    va_start(arguments, format);
    (void)vsnprintf((char *)gnt_buf_tail(out), (size_t)size + 1, format, arguments);
    va_end(arguments);
    gnt_buf_wrote(out, (size_t)size);
    return GNT_OK;
}

gnt_err gnt_text_wrap(struct gnt_buf *out, const char *text, size_t at, size_t indent, size_t width)
{
    gnt_err err = GNT_OK;
    size_t column = at;
    bool fresh = true; /* no word stands on this line yet */
    while (!err && *text) {
        size_t size = strcspn(text, " \n");
        if (size > 0 && !fresh && column + 1 + size > width) {
            err = gnt_text_put(out, "\n%*s", (int)indent, "");
            column = indent;
            fresh = true;
        }
        if (!err && size > 0) {
            err = gnt_text_put(out, "%s%.*s", fresh ? "" : " ", (int)size, text);
            column += size + (fresh ? 0 : 1);
            fresh = false;
        }
        text += size;
        if (!err && *text == '\n') {
            err = gnt_text_put(out, "\n%*s", text[1] == '\n' ? 0 : (int)indent, "");
            column = indent;
            fresh = true;
        }
        if (*text)
            text++;
    }
    return err ? err : gnt_text_put(out, "\n");
}

enum { WORD_MAX_ = 64 }; /* longer words are not compared: no option has such a name */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* The number of letters to insert, delete, replace, or swap with their neighbour (optimal string
 * alignment), upper and lower case being the same.  Three rows of the table suffice. */
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t table[3][WORD_MAX_ + 1];
    for (size_t j = 0; j <= b_size; j++)
        table[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = table[i % 3], *above = table[(i + 2) % 3], *above2 = table[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replaced = above[j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    return table[a_size % 3][b_size];
}

/* How far a word may be from a typed one of SIZE letters and still be taken for it. */
static size_t tolerance(size_t size)
{
    return size <= 3 ? 1 : size <= 7 ? 2 : 3;
}

struct gnt_nearest gnt_nearest(const char *typed)
{
    return (struct gnt_nearest){typed, NULL, tolerance(strlen(typed)) + 1};
}

void gnt_nearest_offer(struct gnt_nearest *near, const char *word)
{
    size_t typed_size = strlen(near->typed), size = strlen(word);
    if (typed_size == 0 || typed_size > WORD_MAX_ || size > WORD_MAX_)
        return;
    if (strspn(near->typed, "0123456789.") == typed_size)
        return; /* another number is another thing, and no misspelling */
    size_t distance = edit_distance(near->typed, typed_size, word, size);
    /* A beginning of a word, as people abbreviate, is as near as one wrong letter. */
    if (typed_size >= 3 && strncasecmp(near->typed, word, typed_size) == 0)
        distance = least(distance, 1);
    if (distance < near->distance && distance < size) {
        near->distance = distance;
        near->word = word;
    }
}
