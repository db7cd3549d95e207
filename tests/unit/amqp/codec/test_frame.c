#include "support/unit.h"

#include "support/amqp_value.h"

#include "amqp/codec/frame.h"

static void test_frames(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t max;
        gnt_err err;
        size_t size; /* as told */
        uint8_t type;
        uint16_t channel;
        size_t body;
    } rows[] = {
        {"", 512, GNT_MORE, 0, 0, 0, 0},
        {"000000", 512, GNT_MORE, 0, 0, 0, 0},
        {"00000008", 512, GNT_MORE, 8, 0, 0, 0},
        {"00000008 02 00 0000", 512, GNT_OK, 8, 0, 0, 0}, /* shows that the peer lives */
        {"00000008 02 00 1234", 512, GNT_OK, 8, 0, 0x1234, 0},
        {"00000009 02 01 0000 40", 512, GNT_OK, 9, 1, 0, 1},
        {"00000009 02 00 0000 40 ff", 512, GNT_OK, 9, 0, 0, 1},
        {"00000009 02 00 0000 40", 9, GNT_OK, 9, 0, 0, 1},
        {"0000000d 03 00 0001 ffffffff 40", 512, GNT_OK, 13, 0, 1, 1}, /* an extended header */
        {"00000008 02 01 0000", 8, GNT_OK, 8, 1, 0, 0},
        /* too large, told by the size alone */
        {"00000009", 8, GNT_TOOBIG, 9, 0, 0, 0},
        {"ffffffff", 512, GNT_TOOBIG, 0xffffffff, 0, 0, 0},
        {"00000201", 512, GNT_TOOBIG, 513, 0, 0, 0},
        /* broken, told by the first byte that shows it */
        {"00000007", 512, GNT_MALFORMED, 0, 0, 0, 0},
        {"00000000", 512, GNT_MALFORMED, 0, 0, 0, 0},
        {"00000008 01", 512, GNT_MALFORMED, 8, 0, 0, 0},
        {"00000008 00", 512, GNT_MALFORMED, 8, 0, 0, 0},
        {"00000008 03", 512, GNT_MALFORMED, 8, 0, 0, 0}, /* an offset beyond the frame */
        {"000000ff ff", 512, GNT_MALFORMED, 255, 0, 0, 0},
        {"00000008 02 02", 512, GNT_MALFORMED, 8, 0, 0, 0}, /* a type that does not exist */
        {"00000008 02 ff", 512, GNT_MALFORMED, 8, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice in = gnt_test_amqp_bytes(rows[i].bytes);
        struct gnt_amqp_frame frame;
        gnt_err err = gnt_amqp_frame(in, rows[i].max, &frame);
        if (err != rows[i].err || frame.size != rows[i].size)
            fail_msg("row %zu: %s", i, rows[i].bytes);
        assert_int_equal(frame.type, rows[i].type);
        assert_int_equal(frame.channel, rows[i].channel);
        assert_int_equal(frame.body.size, rows[i].body);
        if (err == GNT_OK)
            assert_ptr_equal(frame.body.data, in.data + frame.size - frame.body.size);
        gnt_test_amqp_free(in);
    }
}

/* What was said of a part holds for the whole. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    static const char *const rows[] = {"0000000d 03 00 0001 ffffffff 40", "00000008 02 01 0000",
                                       "0000000a 02 00 0000 a000", "0000000a 02 05 0000 a000",
                                       "0000000a 01 00 0000 a000"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice in = gnt_test_amqp_bytes(rows[i]);
        struct gnt_amqp_frame frame;
        const gnt_err whole = gnt_amqp_frame(in, 512, &frame);
        for (size_t cut = 0; cut < in.size; cut++) {
            struct gnt_slice part = gnt_test_amqp_copy(in, cut);
            const gnt_err err = gnt_amqp_frame(part, 512, &frame);
            assert_true(err == GNT_MORE || err == whole);
            assert_true(err != GNT_OK);
            gnt_test_amqp_free(part);
        }
        gnt_test_amqp_free(in);
    }
}

static void test_put(void **state)
{
    (void)state;
    uint8_t bytes[32];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    size_t mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_AMQP, 0x102);
    gnt_amqp_put_null(&w);
    gnt_amqp_end_frame(&w, mark, 0);
    mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_SASL, 0);
    gnt_amqp_end_frame(&w, mark, 0x1000000); /* what follows is not the writer's */
    assert_slice(gnt_amqp_written(&w), "\0\0\0\x09\x02\0\x01\x02\x40"
                                       "\x01\0\0\x08\x02\x01\0\0");

    /* without room for it nothing is written */
    memset(bytes, 0xee, sizeof bytes);
    w = gnt_amqp_writer(bytes, 8);
    mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_AMQP, 0);
    gnt_amqp_put_null(&w);
    gnt_amqp_end_frame(&w, mark, 0);
    assert_false(gnt_amqp_fits(&w));
    assert_int_equal(w.size, 9);
    assert_int_equal(bytes[8], 0xee);
}

static void test_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        gnt_err err;
        uint8_t id, major, minor, revision;
    } rows[] = {
        {"'AMQP' 00 01 00 00", GNT_OK, 0, 1, 0, 0},
        {"'AMQP' 03 01 00 00 ff", GNT_OK, 3, 1, 0, 0},
        {"'AMQP' 02 01 00 00", GNT_OK, 2, 1, 0, 0},
        {"'AMQP' 01 01 00 0a", GNT_OK, 1, 1, 0, 10},
        {"'AMQP' 00 00 09 01", GNT_OK, 0, 0, 9, 1},
        {"", GNT_MORE, 0, 0, 0, 0},
        {"'A'", GNT_MORE, 0, 0, 0, 0},
        {"'AMQP' 00 01 00", GNT_MORE, 0, 0, 0, 0},
        {"'a'", GNT_MALFORMED, 0, 0, 0, 0},
        {"'AMQX'", GNT_MALFORMED, 0, 0, 0, 0},
        {"10 0c 0004 'MQTT' 04", GNT_MALFORMED, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice in = gnt_test_amqp_bytes(rows[i].bytes);
        struct gnt_amqp_protocol p = {0};
        assert_int_equal(gnt_amqp_protocol(in, &p), rows[i].err);
        assert_int_equal(p.id, rows[i].id);
        assert_int_equal(p.major, rows[i].major);
        assert_int_equal(p.minor, rows[i].minor);
        assert_int_equal(p.revision, rows[i].revision);
        gnt_test_amqp_free(in);
    }
    uint8_t bytes[GNT_AMQP_PROTOCOL_SIZE];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_protocol(&w, GNT_AMQP_PROTOCOL_SASL);
    assert_slice(gnt_amqp_written(&w), "AMQP\x03\x01\0\0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
