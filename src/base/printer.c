#include "base/printer.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

static const char more[] = "...";

gnt_err gnt_printer_finish(const struct gnt_printer *p)
{
    if (p->err)
        gnt_buf_cut(p->out, p->start);
    return p->err;
}

/* Cuts what is there so that the dots fit behind it, between two characters. */
static void fill_up(struct gnt_printer *p)
{
    p->full = true;
    const size_t dots = p->max < sizeof more - 1 ? p->max : sizeof more - 1;
    size_t size = gnt_buf_size(p->out) - p->start;
    const uint8_t *text = gnt_buf_slice(p->out).data;
    while (size > p->max - dots || (size > 0 && size < gnt_buf_size(p->out) - p->start &&
                                    (text[p->start + size] & 0xc0) == 0x80))
        size--;
    gnt_buf_cut(p->out, p->start + size);
    p->err = gnt_buf_put(p->out, gnt_slice(more, dots));
}

void gnt_printer_put(struct gnt_printer *p, struct gnt_slice text)
{
    if (p->full)
        return;
    const size_t left = p->max - (gnt_buf_size(p->out) - p->start);
    const bool fits = text.size <= left;
    p->err = gnt_buf_put(p->out, fits ? text : gnt_slice(text.data, left));
    if (p->err)
        p->full = true;
    else if (!fits)
        fill_up(p);
}

void gnt_printer_say(struct gnt_printer *p, const char *text)
{
    gnt_printer_put(p, gnt_slice_str(text));
}

void gnt_printer_tell(struct gnt_printer *p, const char *format, ...)
{
    char word[GNT_PRINTER_WORD_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(word, sizeof word, format, args);
    va_end(args);
    gnt_printer_say(p, word);
}

/* The character at the front of TEXT, as many bytes as are shown as they are; 0: the first byte is
 * to be escaped. */
static size_t plain(struct gnt_slice text, char quote)
{
    const uint8_t lead = text.data[0];
    if (lead < 0x80)
        return lead >= 0x20 && lead < 0x7f && lead != (uint8_t)quote && lead != '\\';
    const size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const bool control = lead == 0xc2 && text.size > 1 && text.data[1] < 0xa0;
    return size <= text.size && !control && gnt_utf8_valid(gnt_slice(text.data, size)) ? size : 0;
}

static void print(struct gnt_printer *p, struct gnt_slice text, char quote, bool bytes)
{
    gnt_printer_tell(p, "%c", quote);
    while (text.size > 0 && !p->full) {
        size_t run = 0; /* what is shown as it is */
        while (run < text.size) {
            const size_t size = plain(gnt_slice_skip(text, run), quote);
            if (size == 0 || (bytes && size > 1))
                break;
            run += size;
        }
        gnt_printer_put(p, gnt_slice(text.data, run));
        text = gnt_slice_skip(text, run);
        if (text.size == 0)
            break;
        const char escaped = text.data[0] == (uint8_t)quote || text.data[0] == '\\';
        gnt_printer_tell(p, escaped ? "\\%c" : "\\x%02x", text.data[0]);
        text = gnt_slice_skip(text, 1);
    }
    gnt_printer_tell(p, "%c", quote);
}

void gnt_printer_text(struct gnt_printer *p, struct gnt_slice text, char quote)
{
    print(p, text, quote, false);
}

void gnt_printer_bytes(struct gnt_printer *p, struct gnt_slice bytes, char quote)
{
    print(p, bytes, quote, true);
}
