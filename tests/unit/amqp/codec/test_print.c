#include "support/unit.h"

#include "support/alloc_fault.h"
#include "support/amqp_value.h"

#include "amqp/codec/frame.h"

/* Values are printed by the rows of test_value.c and test_performative.c; here is what is around
 * them, what is broken, and the bounds. */

static void check_text(struct gnt_buf *out, const char *text)
{
    char said[512];
    const struct gnt_slice bytes = gnt_buf_slice(out);
    assert_true(bytes.size < sizeof said);
    if (bytes.size)
        memcpy(said, bytes.data, bytes.size);
    said[bytes.size] = '\0';
    assert_string_equal(said, text);
    gnt_buf_clear(out);
}

static void test_frames(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"00000008 02 00 0000", "0 (empty)"},
        {"00000008 02 00 ffff", "65535 (empty)"},
        {"00000010 02 00 0001 00 53 10 c0 03 01 a1 00", "1 open container-id=\"\""},
        {"0000000c 02 00 0002 00 53 18 45", "2 close"},
        {"0000000c 02 01 0000 00 53 40 45", "sasl-mechanisms"},
        {"00000017 02 00 0003 00 53 14 c0 04 02 43 5201 'hello!'",
         "3 transfer handle=0 delivery-id=1 (payload 6 bytes)"},
        /* not as it should be */
        {"0000000b 02 00 0000 00 53 24", "0 (malformed)"},
        {"0000000c 02 00 0000 00 53 2a 45", "0 @0x2a []"},
        {"00000009 02 00 0000 41", "0 true"},
        {"0000000e 02 00 0000 00 53 10 c1 01 00", "0 open {}"},
        {"00000011 02 00 0000 00 53 17 c0 04 02 43 5201", "0 end error=uint 0 ?=uint 1"},
        {"0000000f 02 00 0000 00 53 17 c0 02 01 3f", "0 end (malformed)"},
        {"00000013 02 00 0000 00 53 12 c0 06 04 404040 5009", "0 attach snd-settle-mode=9"},
        {"00000015 02 00 0000 00 53 18 c0 08 01 00531d c0 02 01 3f",
         "0 close error=error((malformed))"},
    };
    struct gnt_buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i].bytes);
        struct gnt_amqp_frame frame;
        assert_int_equal(gnt_amqp_frame(bytes, 512, &frame), GNT_OK);
        assert_int_equal(gnt_amqp_print_frame(&out, 512, &frame), GNT_OK);
        check_text(&out, rows[i].text);
        gnt_test_amqp_free(bytes);
    }
    gnt_buf_fini(&out);
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", ""},
        {"00 53 70 c0 02 01 41 00 53 73 c0 04 01 a1 01'i' 00 53 75 a0 02'xy'",
         "header durable=true; properties message-id=\"i\"; data b\"xy\""},
        {"00 53 72 c1 06 02 a3 01'm' 5502 00 53 77 98 00112233445566778899aabbccddeeff",
         "message-annotations {'m': long 2}; amqp-value 00112233-4455-6677-8899-aabbccddeeff"},
        {"00 53 76 45 00 53 76 c0 02 01 40", "amqp-sequence []; amqp-sequence [null]"},
        {"00 53 70 45", "header"},
        {"00 53 77 00 53 24 45", "amqp-value accepted"},
        {"00 53 75 a0 05'xy'", "(malformed)"},
        {"00 53 70 45 3f", "header; (malformed)"},
        {"41", "true"},
    };
    struct gnt_buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i].bytes);
        assert_int_equal(gnt_amqp_print_message(&out, 512, bytes), GNT_OK);
        check_text(&out, rows[i].text);
        gnt_test_amqp_free(bytes);
    }
    gnt_buf_fini(&out);
}

static void test_protocols(void **state)
{
    (void)state;
    static const struct {
        struct gnt_amqp_protocol protocol;
        const char *text;
    } rows[] = {
        {{0, 1, 0, 0}, "AMQP 1.0.0"},
        {{2, 1, 0, 0}, "TLS 1.0.0"},
        {{3, 1, 0, 0}, "SASL 1.0.0"},
        {{1, 0, 9, 1}, "AMQP protocol 1 version 0.9.1"},
        {{255, 255, 255, 255}, "AMQP protocol 255 version 255.255.255"},
    };
    struct gnt_buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(gnt_amqp_print_protocol(&out, 64, &rows[i].protocol), GNT_OK);
        check_text(&out, rows[i].text);
    }
    gnt_buf_fini(&out);
}

/* With any bound, what is there is within it, ends in dots if it is not all, and cuts no character;
 * what stood before it is not touched. */
static void test_bounds(void **state)
{
    (void)state;
    struct gnt_slice bytes = gnt_test_amqp_bytes("c0 12 03 a1 06 c3a9c3a9c3a9 a1 04 f09f9880 52ff");
    struct gnt_buf whole = {0};
    ((uint8_t *)(uintptr_t)bytes.data)[1] = (uint8_t)(bytes.size - 2);
    assert_int_equal(gnt_amqp_print_value(&whole, 512, bytes), GNT_OK);
    const size_t size = gnt_buf_size(&whole);
    for (size_t max = 0; max <= size + 1; max++) {
        struct gnt_buf out = {0};
        assert_int_equal(gnt_buf_put(&out, LITERAL("before")), GNT_OK);
        assert_int_equal(gnt_amqp_print_value(&out, max, bytes), GNT_OK);
        const struct gnt_slice said = gnt_slice_skip(gnt_buf_slice(&out), 6);
        assert_memory_equal(gnt_buf_slice(&out).data, "before", 6);
        if (max >= size) {
            assert_true(gnt_slice_eq(said, gnt_buf_slice(&whole)));
        } else {
            assert_true(said.size <= max && said.size + 6 >= max);
            const size_t text = said.size < 3 ? 0 : said.size - 3;
            assert_memory_equal(said.data + text, "...", said.size - text);
            assert_memory_equal(said.data, gnt_buf_slice(&whole).data, text);
            assert_true(gnt_amqp_text_valid(gnt_slice(said.data, text)));
        }
        gnt_buf_fini(&out);
    }
    gnt_buf_fini(&whole);
    gnt_test_amqp_free(bytes);
}

/* Lists in one another without end: the printer goes so deep and no deeper. */
static void test_depth(void **state)
{
    (void)state;
    uint8_t bytes[4096];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    size_t marks[200];
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        marks[i] = gnt_amqp_begin_list(&w);
    for (size_t i = COUNT_OF(marks); i > 0; i--)
        gnt_amqp_end_list(&w, marks[i - 1], i < COUNT_OF(marks));
    struct gnt_buf out = {0};
    assert_int_equal(gnt_amqp_print_value(&out, 512, gnt_amqp_written(&w)), GNT_OK);
    assert_int_equal(gnt_buf_size(&out), 2 * (GNT_AMQP_DEPTH_MAX + 1) + 3);
    gnt_buf_fini(&out);
}

/* Without memory nothing is appended. */
static void test_no_memory(void **state)
{
    (void)state;
    struct gnt_slice bytes = gnt_test_amqp_bytes("b0 00000258");
    uint8_t text[605] = {0};
    memcpy(text, bytes.data, bytes.size);
    gnt_test_amqp_free(bytes);
    for (long n = 0;; n++) {
        struct gnt_buf out = {0};
        assert_int_equal(gnt_buf_put(&out, LITERAL("before")), GNT_OK);
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_amqp_print_value(&out, 4096, gnt_slice(text, sizeof text));
        const bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (failed)
            check_text(&out, "before");
        gnt_buf_fini(&out);
        if (!failed) {
            assert_true(n > 0);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),    cmocka_unit_test(test_messages),
        cmocka_unit_test(test_protocols), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_depth),     cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
