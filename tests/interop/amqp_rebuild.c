/* The AMQP codec for test_amqp_types.py.  Each line of its input is a word and hexadecimal digits,
 * each of its output what came of them, or "bad": value HEX    the same value, put together again
 * in its smallest form message HEX  the same message, header and properties by their tables, all
 * else as values frames HEX   a protocol header and frames as text, one behind the other, if all
 * can be decoded */
#include "../support/amqp_value.h"

#include "amqp/codec/frame.h"
#include "amqp/codec/message.h"

#include <string.h>

static uint8_t in_bytes[1 << 20], out_bytes[1 << 21];

static size_t unhex(const char *digits)
{
    size_t size = 0;
    unsigned byte;
    for (; sscanf(digits, "%2x", &byte) == 1; digits += 2)
        in_bytes[size++] = (uint8_t)byte;
    return size;
}

static void print_hex(struct gnt_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        printf("%02x", bytes.data[i]);
}

static bool rebuild(struct gnt_amqp_writer *w, struct gnt_slice encoded)
{
    struct gnt_amqp_value value;
    if (!gnt_amqp_valid(encoded) || gnt_amqp_parse(encoded, &value) != GNT_OK)
        return false;
    gnt_test_amqp_rebuild(w, value);
    return true;
}

static bool rebuild_message(struct gnt_amqp_writer *w, struct gnt_slice encoded)
{
    struct gnt_amqp_message m;
    struct gnt_amqp_header header = {0};
    struct gnt_amqp_properties properties = {0};
    if (gnt_amqp_message_split(encoded, &m) != GNT_OK || !gnt_amqp_message_valid(&m))
        return false;
    if (m.header.size && gnt_amqp_decode_header(m.header, &header) != GNT_OK)
        return false;
    if (m.properties.size && gnt_amqp_decode_properties(m.properties, &properties) != GNT_OK)
        return false;
    gnt_amqp_put_header(w, &header);
    bool good = m.message_annotations.size == 0 || rebuild(w, m.message_annotations);
    gnt_amqp_put_properties(w, &properties);
    good &= m.application_properties.size == 0 || rebuild(w, m.application_properties);
    for (struct gnt_slice body = m.body; body.size > 0;) {
        struct gnt_amqp_value value;
        if (!gnt_amqp_next_section(&body, &value))
            return false;
        gnt_amqp_put_descriptor(w, m.body_kind);
        good &= rebuild(w, value.encoded);
    }
    return good;
}

/* A composite and those in it. */
static bool decodes(struct gnt_slice body)
{
    struct gnt_reader in = gnt_reader(body);
    struct gnt_amqp_composite c, inner;
    if (gnt_amqp_read_composite(&in, &c) != GNT_OK)
        return false;
    if (c.code == GNT_AMQP_ATTACH)
        return (!c.attach.has.source ||
                gnt_amqp_decode(c.attach.source.encoded, &inner) == GNT_OK) &&
               (!c.attach.has.target || gnt_amqp_decode(c.attach.target.encoded, &inner) == GNT_OK);
    return c.code != GNT_AMQP_DISPOSITION || !c.disposition.has.state ||
           gnt_amqp_decode(c.disposition.state.encoded, &inner) == GNT_OK;
}

static bool print_frames(struct gnt_slice in)
{
    struct gnt_amqp_protocol protocol;
    if (gnt_amqp_protocol(in, &protocol) == GNT_OK)
        in = gnt_slice_skip(in, GNT_AMQP_PROTOCOL_SIZE);
    struct gnt_amqp_frame frame;
    struct gnt_buf text = {0};
    while (gnt_amqp_frame(in, 1 << 20, &frame) == GNT_OK) {
        if (frame.body.size && !decodes(frame.body))
            return false;
        GNT_ASSERT(gnt_amqp_print_frame(&text, 4096, &frame) == GNT_OK);
        GNT_ASSERT(gnt_buf_put(&text, gnt_slice(" | ", 3)) == GNT_OK);
        in = gnt_slice_skip(in, frame.size);
    }
    printf("%.*s", (int)gnt_buf_size(&text), (const char *)gnt_buf_slice(&text).data);
    gnt_buf_fini(&text);
    return in.size == 0;
}

int main(void)
{
    static char line[1 << 21];
    while (fgets(line, sizeof line, stdin)) {
        char *digits = strchr(line, ' ');
        GNT_ASSERT(digits != NULL);
        const struct gnt_slice in = gnt_slice(in_bytes, unhex(digits + 1));
        struct gnt_amqp_writer w = gnt_amqp_writer(out_bytes, sizeof out_bytes);
        const bool good = line[0] == 'v'   ? rebuild(&w, in)
                          : line[0] == 'm' ? rebuild_message(&w, in)
                                           : print_frames(in);
        if (good)
            print_hex(gnt_amqp_written(&w));
        puts(good ? "" : "bad");
        fflush(stdout);
    }
    return 0;
}
