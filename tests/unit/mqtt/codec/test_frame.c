#include "support/unit.h"

#include "support/mqtt_packet.h"

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t max;
        gnt_err err;
        size_t size; /* of the packet, as told */
        size_t body;
    } rows[] = {
        {"", 100, GNT_MORE, 0, 0},
        {"c0", 100, GNT_MORE, 0, 0},
        {"c000", 100, GNT_OK, 2, 0},
        {"c000 c000", 100, GNT_OK, 2, 0},
        {"3003", 100, GNT_MORE, 5, 0},
        {"3003 0001", 100, GNT_MORE, 5, 0},
        {"3003 000161", 100, GNT_OK, 5, 3},
        {"3003 000161", 5, GNT_OK, 5, 3},
        {"3003", 4, GNT_TOOBIG, 5, 0},
        {"3003 000161", 4, GNT_TOOBIG, 5, 0},
        {"f000", 2, GNT_OK, 2, 0},
        {"1f00", 2, GNT_OK, 2, 0},
        /* lengths of one to four bytes, at their limits [MQTT5 1.5.5] */
        {"307f", 1u << 30, GNT_MORE, 2 + 127, 0},
        {"3080", 1u << 30, GNT_MORE, 0, 0},
        {"308001", 1u << 30, GNT_MORE, 3 + 128, 0},
        {"30ff7f", 1u << 30, GNT_MORE, 3 + 16383, 0},
        {"308080", 1u << 30, GNT_MORE, 0, 0},
        {"30808001", 1u << 30, GNT_MORE, 4 + 16384, 0},
        {"30ffff7f", 1u << 30, GNT_MORE, 4 + 2097151, 0},
        {"30808080", 1u << 30, GNT_MORE, 0, 0},
        {"3080808001", 1u << 30, GNT_MORE, 5 + 2097152, 0},
        {"30ffffff7f", 1u << 30, GNT_MORE, 5 + 268435455, 0},
        {"30ffffff7f", 5 + 268435455, GNT_MORE, 5 + 268435455, 0},
        {"30ffffff7f", 5 + 268435454, GNT_TOOBIG, 5 + 268435455, 0},
        {"30ffffff", 10, GNT_MORE, 0, 0},
        /* a fifth byte, and bytes that the length does not need */
        {"30ffffffff", 1u << 30, GNT_MALFORMED, 0, 0},
        {"3080808080", 1u << 30, GNT_MALFORMED, 0, 0},
        {"30ffffff80", 1u << 30, GNT_MALFORMED, 0, 0},
        {"308000", 1u << 30, GNT_MALFORMED, 0, 0},
        {"30ff00", 1u << 30, GNT_MALFORMED, 0, 0},
        {"30808000", 1u << 30, GNT_MALFORMED, 0, 0},
        {"3080808000", 1u << 30, GNT_MALFORMED, 0, 0},
        /* type 0 [MQTT5 2.1.2] */
        {"00", 100, GNT_MALFORMED, 0, 0},
        {"0f00", 100, GNT_MALFORMED, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice in = gnt_test_bytes(rows[i].bytes);
        struct gnt_mqtt_frame frame;
        if (gnt_mqtt_frame(in, rows[i].max, &frame) != rows[i].err || frame.size != rows[i].size)
            fail_msg("row %zu: %s", i, rows[i].bytes);
        if (rows[i].err == GNT_OK) {
            assert_int_equal(frame.type, in.data[0] >> 4);
            assert_int_equal(frame.flags, in.data[0] & 15);
            assert_int_equal(frame.body.size, rows[i].body);
            assert_ptr_equal(frame.body.data, in.data + rows[i].size - rows[i].body);
        }
        gnt_test_free(in);
    }
}

/* Whatever has been said of a front part holds for the whole: a verdict never changes, and "more"
 * ends exactly where the packet does. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    uint8_t packet[400] = {0x31, 0x80 | (397 & 0x7f), 397 >> 7};
    for (size_t cut = 0; cut <= sizeof packet; cut++) {
        struct gnt_slice part = gnt_test_copy(gnt_slice(packet, sizeof packet), cut);
        struct gnt_mqtt_frame frame;
        assert_int_equal(gnt_mqtt_frame(part, sizeof packet, &frame),
                         cut < sizeof packet ? GNT_MORE : GNT_OK);
        assert_int_equal(frame.size, cut < 3 ? 0 : sizeof packet);
        assert_int_equal(gnt_mqtt_frame(part, sizeof packet - 1, &frame),
                         cut < 3 ? GNT_MORE : GNT_TOOBIG);
        gnt_test_free(part);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(gnt_mqtt_type_name(GNT_MQTT_CONNECT), "CONNECT");
    assert_string_equal(gnt_mqtt_type_name(GNT_MQTT_AUTH), "AUTH");
    assert_string_equal(gnt_mqtt_type_name(0), "?");
    assert_string_equal(gnt_mqtt_type_name(16), "?");
    for (uint8_t type = GNT_MQTT_CONNECT; type <= GNT_MQTT_AUTH; type++)
        assert_true(gnt_mqtt_type_name(type)[0] >= 'A');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
