#include "cli/json.h"
#include "base/utf8.h"
#include "conf/text.h"

#include <jansson.h>

/* The short forms, and 'u' for the rest of what may not stand in a string as it is. */
static char escape_of(uint8_t byte)
{
    static const char escapes[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (byte == '"' || byte == '\\')
        return (char)byte;
    if (byte >= 0x20)
        return 0;
    return escapes[byte] ? escapes[byte] : 'u';
}

static gnt_err put_escape(struct gnt_buf *out, uint8_t byte, char escape)
{
    return escape == 'u' ? gnt_text_put(out, "\\u%04x", byte) : gnt_text_put(out, "\\%c", escape);
}

gnt_err gnt_json_put_text(struct gnt_buf *out, struct gnt_slice text)
{
    gnt_err err = gnt_buf_put(out, gnt_slice_str("\""));
    size_t done = 0;
    for (size_t i = 0; !err && i < text.size; i++) {
        char escape = escape_of(text.data[i]);
        if (!escape)
            continue;
        err = gnt_buf_put(out, gnt_slice(text.data + done, i - done));
        if (!err)
            err = put_escape(out, text.data[i], escape);
        done = i + 1;
    }
    if (!err)
        err = gnt_buf_put(out, gnt_slice_skip(text, done));
    return err ? err : gnt_buf_put(out, gnt_slice_str("\""));
}

gnt_err gnt_json_put_bytes(struct gnt_buf *out, struct gnt_slice bytes)
{
    if (gnt_utf8_valid(bytes))
        return gnt_json_put_text(out, bytes);
    gnt_err err = gnt_buf_put(out, gnt_slice_str("["));
    for (size_t i = 0; !err && i < bytes.size; i++)
        err = gnt_text_put(out, "%s%u", i ? "," : "", bytes.data[i]);
    return err ? err : gnt_buf_put(out, gnt_slice_str("]"));
}

static bool is_json(struct gnt_slice text)
{
    json_error_t error;
    json_t *value = json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY, &error);
    json_decref(value);
    return value != NULL;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

gnt_err gnt_json_put_value(struct gnt_buf *out, struct gnt_slice json)
{
    if (!is_json(json))
        return GNT_INVALID;
    gnt_err err = gnt_buf_reserve(out, json.size);
    bool quoted = false;
    for (size_t i = 0; !err && i < json.size; i++) {
        uint8_t byte = json.data[i];
        if (!quoted && is_space(byte))
            continue;
        *gnt_buf_tail(out) = byte;
        gnt_buf_wrote(out, 1);
        if (quoted && byte == '\\') { /* what is escaped ends no string */
            *gnt_buf_tail(out) = json.data[++i];
            gnt_buf_wrote(out, 1);
        } else if (byte == '"') {
            quoted = !quoted;
        }
    }
    return err;
}
