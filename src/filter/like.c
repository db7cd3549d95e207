#include "filter/like.h"

/* In a compiled pattern these stand for % and _: bytes that UTF-8 does not have. */
enum { ANY = 0xff, ONE = 0xfe };

/* Whether a character goes on with this byte. */
static bool is_inside(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The size of the character at the front of TEXT, which is not empty. */
static size_t character(struct gnt_slice text)
{
    size_t size = 1;
    while (size < text.size && is_inside(text.data[size]))
        size++;
    return size;
}

/* How many there are; ANY and ONE count as one each. */
static size_t characters(struct gnt_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += !is_inside(text.data[i]);
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
        if (has_one(piece) && piece.size > GNT_LIKE_PIECE_MAX) {
            *why = "has more than 64 bytes, with a _, between two %";
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

/* Where the first PIECE, in which there is a ONE, ends in TEXT; 0: nowhere.  Bit N of `under_way`
 * says that the first N + 1 bytes of the piece have just been found.  A ONE is found with the first
 * byte of a character, and stays so while its other bytes pass. */
static size_t end_with_gaps(struct gnt_slice text, struct gnt_slice piece)
{
    uint64_t literal[256] = {0}, ones = 0, under_way = 0;
    const uint64_t last = UINT64_C(1) << (piece.size - 1);
    for (size_t i = 0; i < piece.size; i++)
        *(piece.data[i] == ONE ? &ones : &literal[piece.data[i]]) |= UINT64_C(1) << i;
    for (size_t at = 0; at < text.size; at++) {
        uint8_t c = text.data[at];
        uint64_t next = under_way << 1 | 1;
        if (is_inside(c))
            under_way = (next & literal[c]) | (under_way & ones);
        else
            under_way = next & (literal[c] | ones);
        if (under_way & last & ones)
            return at + character(gnt_slice_skip(text, at));
        if (under_way & last)
            return at + 1;
    }
    return 0;
}

/* The same for any piece; it is not empty. */
static size_t end_of(struct gnt_slice text, struct gnt_slice piece)
{
    if (has_one(piece))
        return end_with_gaps(text, piece);
    const uint8_t *at = text.size ? memmem(text.data, text.size, piece.data, piece.size) : NULL;
    return at ? (size_t)(at - text.data) + piece.size : 0;
}

/* Whether TEXT ends with PIECE. */
static bool ends(struct gnt_slice text, struct gnt_slice piece)
{
    size_t left = characters(piece), at = text.size, size;
    while (left && at)
        left -= !is_inside(text.data[--at]);
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
    while (take_piece(&pattern, &piece)) {
        size = end_of(text, piece);
        if (size == 0)
            return false;
        text = gnt_slice_skip(text, size);
    }
    return ends(text, piece);
}
