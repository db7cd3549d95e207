#include "filter/like.h"

/* In a compiled pattern these stand for % and _: bytes that UTF-8 does not have. */
enum { ANY = 0xff, ONE = 0xfe };

/* The size of the character at the front of TEXT, which is not empty. */
static size_t character(struct gnt_slice text)
{
    size_t size = 1;
    while (size < text.size && (text.data[size] & 0xc0) == 0x80)
        size++;
    return size;
}

/* How many there are; ANY and ONE count as one each. */
static size_t characters(struct gnt_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

/* Takes what is in front of the first ANY off *pattern, and the ANY.  False: there was none. */
static bool take_piece(struct gnt_slice *pattern, struct gnt_slice *piece)
{
    const uint8_t *any = pattern->size ? memchr(pattern->data, ANY, pattern->size) : NULL;
    *piece = gnt_slice(pattern->data, any ? (size_t)(any - pattern->data) : pattern->size);
    *pattern = gnt_slice_skip(*pattern, piece->size + (any ? 1 : 0));
    return any;
}

static bool has_one(struct gnt_slice piece)
{
    return piece.size && memchr(piece.data, ONE, piece.size);
}

/* ---- Compiling */

static gnt_err check_pieces(struct gnt_slice pattern, const char **why)
{
    struct gnt_slice piece;
    if (!take_piece(&pattern, &piece)) /* what is in front of the first % is tried only once */
        return GNT_OK;
    while (take_piece(&pattern, &piece)) {
        if (has_one(piece) && characters(piece) > GNT_LIKE_PIECE_MAX) {
            *why = "has more than 64 characters, with a _, between two %";
            return GNT_INVALID;
        }
    }
    return GNT_OK;
}

gnt_err gnt_like_compile(uint8_t *pattern, size_t *size, struct gnt_slice escape, const char **why)
{
    struct gnt_slice rest = gnt_slice(pattern, *size);
    size_t used = 0;
    while (rest.size) {
        bool escaped = escape.size && gnt_slice_starts(rest, escape);
        rest = gnt_slice_skip(rest, escaped ? escape.size : 0);
        if (rest.size == 0) {
            *why = "ends with its escape character";
            return GNT_INVALID;
        }
        size_t n = character(rest);
        uint8_t first = rest.data[0];
        bool any = first == '%' && !escaped, one = first == '_' && !escaped;
        memmove(pattern + used, rest.data, n);
        if (any || one)
            pattern[used] = any ? ANY : ONE;
        if (!any || used == 0 || pattern[used - 1] != ANY) /* %% says no more than % */
            used += n;
        rest = gnt_slice_skip(rest, n);
    }
    *size = used;
    return check_pieces(gnt_slice(pattern, used), why);
}

/* ---- Matching */

/* Whether TEXT begins with PIECE; *size is that of what it begins with. */
static bool begins(struct gnt_slice text, struct gnt_slice piece, size_t *size)
{
    struct gnt_slice rest = text;
    for (size_t i = 0; i < piece.size; i++) {
        if (rest.size == 0 || (piece.data[i] != ONE && piece.data[i] != rest.data[0]))
            return false;
        rest = gnt_slice_skip(rest, piece.data[i] == ONE ? character(rest) : 1);
    }
    *size = text.size - rest.size;
    return true;
}

/* Takes everything up to the end of the first PIECE off *text. */
static bool take_through(struct gnt_slice *text, struct gnt_slice piece)
{
    if (!has_one(piece)) {
        const uint8_t *at =
            text->size ? memmem(text->data, text->size, piece.data, piece.size) : NULL;
        if (at)
            *text = gnt_slice_skip(*text, (size_t)(at - text->data) + piece.size);
        return at;
    }
    for (size_t size; text->size; *text = gnt_slice_skip(*text, character(*text))) {
        if (begins(*text, piece, &size)) {
            *text = gnt_slice_skip(*text, size);
            return true;
        }
    }
    return false;
}

/* Whether TEXT ends with PIECE. */
static bool ends(struct gnt_slice text, struct gnt_slice piece)
{
    size_t left = characters(piece), at = text.size, size;
    while (left && at)
        left -= (text.data[--at] & 0xc0) != 0x80;
    struct gnt_slice tail = gnt_slice_skip(text, at);
    return left == 0 && begins(tail, piece, &size) && size == tail.size;
}

bool gnt_like_matches(struct gnt_slice pattern, struct gnt_slice text)
{
    struct gnt_slice piece;
    size_t size;
    bool any = take_piece(&pattern, &piece);
    if (!begins(text, piece, &size))
        return false;
    text = gnt_slice_skip(text, size);
    if (!any)
        return text.size == 0;
    while (take_piece(&pattern, &piece))
        if (!take_through(&text, piece))
            return false;
    return ends(text, piece);
}
