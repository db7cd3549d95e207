/* How SCRAM's messages are read and written [RFC 5802 7]. */

#include "base/base64.h"
#include "auth/field.h"
#include "auth/scram_private.h"
#include "base/utf8.h"

struct gnt_scram_reader gnt_scram_reader(struct gnt_slice message)
{
    return (struct gnt_scram_reader){.rest = message,
                                     .end = message.size == 0,
                                     .bad = message.size > GNT_SCRAM_MESSAGE_MAX ||
                                            !gnt_utf8_valid(message)};
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

uint8_t gnt_scram_read(struct gnt_scram_reader *r, struct gnt_slice *value)
{
    *value = gnt_slice(NULL, 0);
    if (r->bad || r->end) {
        r->bad = true;
        return 0;
    }
    const uint8_t *comma = r->rest.size ? memchr(r->rest.data, ',', r->rest.size) : NULL;
    size_t size = comma ? (size_t)(comma - r->rest.data) : r->rest.size;
    struct gnt_slice one = gnt_slice(r->rest.data, size);
    if (one.size < 3 || !is_letter(one.data[0]) || one.data[1] != '=') {
        r->bad = true;
        return 0;
    }
    r->end = comma == NULL;
    r->rest = gnt_slice_skip(r->rest, comma ? size + 1 : size);
    *value = gnt_slice_skip(one, 2);
    return one.data[0];
}

struct gnt_slice gnt_scram_expect(struct gnt_scram_reader *r, uint8_t letter)
{
    struct gnt_slice value;
    if (gnt_scram_read(r, &value) != letter) {
        r->bad = true;
        return gnt_slice(NULL, 0);
    }
    return value;
}

void gnt_scram_pass_extensions(struct gnt_scram_reader *r)
{
    struct gnt_slice value;
    while (!r->bad && !r->end)
        gnt_scram_read(r, &value);
}

bool gnt_scram_nonce_valid(struct gnt_slice nonce)
{
    if (nonce.size == 0 || nonce.size > GNT_SCRAM_NONCE_MAX)
        return false;
    for (size_t i = 0; i < nonce.size; i++)
        if (nonce.data[i] <= ' ' || nonce.data[i] >= 0x7f || nonce.data[i] == ',')
            return false;
    return true;
}

uint32_t gnt_scram_iterations(struct gnt_slice text)
{
    return gnt_field_number(text, GNT_SCRAM_ITERATIONS_MIN, GNT_SCRAM_ITERATIONS_MAX);
}

gnt_err gnt_scram_put_str(struct gnt_buf *out, const char *text)
{
    return gnt_buf_put(out, gnt_slice_str(text));
}

gnt_err gnt_scram_put_base64(struct gnt_buf *out, struct gnt_slice bytes)
{
    gnt_err err = gnt_buf_reserve(out, GNT_BASE64_SIZE(bytes.size));
    if (err)
        return err;
    gnt_base64_write(gnt_buf_tail(out), bytes);
    gnt_buf_wrote(out, GNT_BASE64_SIZE(bytes.size));
    return GNT_OK;
}

gnt_err gnt_scram_put_nonce(struct gnt_buf *out, const struct gnt_random *random)
{
    uint8_t bytes[GNT_SCRAM_NONCE_BYTES];
    random->fill(random->self, bytes, sizeof bytes);
    return gnt_scram_put_base64(out, gnt_slice(bytes, sizeof bytes));
}
