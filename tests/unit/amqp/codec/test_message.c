#include "support/unit.h"

#include "support/alloc_fault.h"
#include "support/amqp_value.h"

#include "amqp/codec/message.h"

#define HEADER      "00 53 70 45 "
#define DELIVERY    "00 53 71 c1 06 02 a3 01'd' 5501 "
#define ANNOTATED   "00 53 72 c1 06 02 a3 01'm' 5502 "
#define PROPERTIES  "00 53 73 c0 04 01 a1 01'i' "
#define APPLICATION "00 53 74 c1 06 02 a1 01'a' 5503 "
#define DATA        "00 53 75 a0 02'xy' "
#define SEQUENCE    "00 53 76 c0 02 01 41 "
#define VALUE       "00 53 77 40 "
#define FOOTER      "00 53 78 c1 06 02 a3 01'f' 5504 "

static struct gnt_amqp_message split(struct gnt_slice bytes)
{
    struct gnt_amqp_message m;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_amqp_message_split(bytes, &m), GNT_OK);
    assert_false(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    return m;
}

static void check_slice(struct gnt_slice slice, const char *notation)
{
    struct gnt_slice expected = gnt_test_amqp_bytes(notation);
    if (!gnt_slice_eq(slice, expected))
        fail_msg("not %s", notation);
    gnt_test_amqp_free(expected);
}

static void test_all_sections(void **state)
{
    (void)state;
    struct gnt_slice bytes =
        gnt_test_amqp_bytes(HEADER DELIVERY ANNOTATED PROPERTIES APPLICATION DATA DATA FOOTER);
    struct gnt_amqp_message m = split(bytes);
    check_slice(m.header, HEADER);
    check_slice(m.delivery_annotations, DELIVERY);
    check_slice(m.message_annotations, ANNOTATED);
    check_slice(m.properties, PROPERTIES);
    check_slice(m.application_properties, APPLICATION);
    check_slice(m.body, DATA DATA);
    check_slice(m.footer, FOOTER);
    check_slice(m.lasting, ANNOTATED PROPERTIES APPLICATION DATA DATA FOOTER);
    check_slice(m.bare, PROPERTIES APPLICATION DATA DATA);
    assert_int_equal(m.body_kind, GNT_AMQP_DATA);
    assert_int_equal(m.body_sections, 2);
    assert_true(gnt_amqp_message_valid(&m));

    struct gnt_amqp_value value;
    assert_true(gnt_amqp_lookup(m.message_annotations, "m", &value) && value.integer == 2);
    assert_true(gnt_amqp_lookup(m.application_properties, "a", &value) && value.integer == 3);
    assert_false(gnt_amqp_lookup(m.application_properties, "b", &value));
    assert_int_equal(value.type, GNT_AMQP_NULL);
    assert_false(gnt_amqp_lookup(m.header, "a", &value));
    assert_false(gnt_amqp_lookup(gnt_slice(NULL, 0), "a", &value));
    struct gnt_slice body = m.body;
    unsigned sections = 0;
    while (gnt_amqp_next_section(&body, &value)) {
        assert_slice(value.bytes, "xy");
        sections++;
    }
    assert_int_equal(sections, 2);
    gnt_test_amqp_free(bytes);
}

static void test_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        unsigned kind, sections;
        const char *lasting, *bare;
    } rows[] = {
        {"", 0, 0, "", ""},
        {HEADER, 0, 0, "", ""},
        {DATA, GNT_AMQP_DATA, 1, DATA, DATA},
        {SEQUENCE SEQUENCE SEQUENCE, GNT_AMQP_SEQUENCE, 3, SEQUENCE SEQUENCE SEQUENCE,
         SEQUENCE SEQUENCE SEQUENCE},
        {VALUE, GNT_AMQP_VALUE, 1, VALUE, VALUE},
        {HEADER ANNOTATED FOOTER, 0, 0, ANNOTATED FOOTER, ""},
        {DELIVERY PROPERTIES, 0, 0, PROPERTIES, PROPERTIES},
        {"00 a3 10'amqp:data:binary' a0 01 'x'", GNT_AMQP_DATA, 1,
         "00 a3 10'amqp:data:binary' a0 01 'x'", "00 a3 10'amqp:data:binary' a0 01 'x'"},
        {"00 80 0000000000000077 00 a3 01 'x' 40", GNT_AMQP_VALUE, 1,
         "00 80 0000000000000077 00 a3 01 'x' 40", "00 80 0000000000000077 00 a3 01 'x' 40"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i].bytes);
        struct gnt_amqp_message m = split(bytes);
        assert_int_equal(m.body_kind, rows[i].kind);
        assert_int_equal(m.body_sections, rows[i].sections);
        check_slice(m.lasting, rows[i].lasting);
        check_slice(m.bare, rows[i].bare);
        assert_true(gnt_amqp_message_valid(&m));
        gnt_test_amqp_free(bytes);
    }
}

/* A message that was cut is one only where it was cut between two sections. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    struct gnt_slice bytes =
        gnt_test_amqp_bytes(HEADER DELIVERY ANNOTATED PROPERTIES APPLICATION DATA DATA FOOTER);
    unsigned whole = 0;
    for (size_t cut = 0; cut <= bytes.size; cut++) {
        struct gnt_slice part = gnt_test_amqp_copy(bytes, cut);
        struct gnt_amqp_message m;
        whole += gnt_amqp_message_split(part, &m) == GNT_OK;
        gnt_test_amqp_free(part);
    }
    assert_int_equal(whole, 1 + 8);
    gnt_test_amqp_free(bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const rows[] = {
        PROPERTIES HEADER, /* out of order */
        DATA HEADER,
        FOOTER DATA,
        APPLICATION PROPERTIES,
        HEADER HEADER, /* twice */
        ANNOTATED ANNOTATED,
        FOOTER FOOTER,
        VALUE VALUE,
        DATA SEQUENCE, /* two kinds of body */
        SEQUENCE DATA,
        DATA VALUE,
        SEQUENCE VALUE,
        "00 53 70 c1 01 00", /* of another type */
        "00 53 72 45",
        "00 53 73 a0 00",
        "00 53 74 45",
        "00 53 75 a1 00",
        "00 53 75 45",
        "00 53 76 c1 01 00",
        "00 53 78 45",
        "00 53 79 45", /* no section */
        "00 53 6f 45",
        "00 53 24 45",
        "00 a3 01'x' 45",
        "40",
        "45",
        DATA "40", /* something behind it */
        "00 53 75",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i]);
        struct gnt_amqp_message m;
        if (gnt_amqp_message_split(bytes, &m) != GNT_MALFORMED)
            fail_msg("not malformed: %s", rows[i]);
        gnt_test_amqp_free(bytes);
    }
}

/* What splitting does not look at. */
static void test_invalid(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "00 53 70 c0 02 01 50",
        "00 53 70 c0 03 01 a100",
        "00 53 71 c1 05 02 a1 01'd' 40", /* a string as key of an annotation */
        "00 53 72 c1 05 02 a1 01'm' 40",
        "00 53 72 c1 03 02 43 40", /* a uint */
        "00 53 72 c1 05 02 a3 01 80 40",
        "00 53 72 c1 05 02 a3 01'm' 3f",
        "00 53 73 c0 03 01 50 01",
        "00 53 73 c0 0f 0e 40404040404040404040404040 40",
        "00 53 74 c1 05 02 a3 01'a' 40", /* a symbol as key of an application property */
        "00 53 74 c1 05 02 a1 01'a' 45", /* a compound as its value [AMQP 3.2.5] */
        "00 53 74 c1 07 02 a1 01'a' c1 01 00",
        "00 53 74 c1 07 02 a1 01'a' e0 0200 50",
        "00 53 74 c1 06 02 a1 01'a' 56 02",
        "00 53 76 c0 02 01 3f",
        "00 53 77 a1 01 ff",
        "00 53 77 c0 02 01 3f",
        "00 53 78 c1 05 02 a1 01'f' 40",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i]);
        struct gnt_amqp_message m;
        if (gnt_amqp_message_split(bytes, &m) == GNT_OK && gnt_amqp_message_valid(&m))
            fail_msg("valid: %s", rows[i]);
        gnt_test_amqp_free(bytes);
    }
    /* and some that are good: a ulong as key, several types of values */
    struct gnt_slice bytes =
        gnt_test_amqp_bytes("00 53 72 c1 09 04 44 41 a3 01'm' c1 01 00"
                            "00 53 74 c1 17 04 a1 00 98 00112233445566778899aabbccddeeff a1 00 40");
    struct gnt_amqp_message m = split(bytes);
    assert_true(gnt_amqp_message_valid(&m));
    gnt_test_amqp_free(bytes);
}

static void put_message(struct gnt_amqp_writer *w)
{
    struct gnt_amqp_header header = {0};
    GNT_AMQP_SET(&header, durable, true);
    gnt_amqp_put_header(w, &header);
    struct gnt_amqp_properties properties = {0};
    GNT_AMQP_SET(&properties, message_id, gnt_amqp_number(GNT_AMQP_ULONG, 7));
    GNT_AMQP_SET(&properties, to, gnt_slice_str("q"));
    gnt_amqp_put_properties(w, &properties);
    const size_t mark = gnt_amqp_begin_section(w, GNT_AMQP_APPLICATION_PROPERTIES);
    gnt_amqp_put_string(w, gnt_slice_str("n"));
    gnt_amqp_put_int(w, -1);
    gnt_amqp_end_map(w, mark, 2);
    gnt_amqp_put_data(w, gnt_slice_str("hello"));
}

static void test_building(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct gnt_amqp_writer sizing = gnt_amqp_writer(NULL, 0);
    put_message(&sizing);
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizing.size);
    put_message(&w);
    assert_true(gnt_amqp_fits(&w));
    check_slice(gnt_amqp_written(&w), "00 53 70 c0 02 01 41 00 53 73 c0 07 03 53 07 40 a1 01 'q'"
                                      "00 53 74 c1 06 02 a1 01 'n' 54 ff 00 53 75 a0 05 'hello'");
    struct gnt_amqp_message m = split(gnt_amqp_written(&w));
    assert_true(gnt_amqp_message_valid(&m));
    struct gnt_amqp_properties properties;
    assert_int_equal(gnt_amqp_decode_properties(m.properties, &properties), GNT_OK);
    assert_int_equal(properties.message_id.number, 7);
    assert_slice(properties.to, "q");
    w.size = 0;
    gnt_amqp_put_data_head(&w, 256); /* the data follows from elsewhere */
    check_slice(gnt_amqp_written(&w), "00 53 75 b0 00000100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sections),   cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_cut_everywhere), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_invalid),        cmocka_unit_test(test_building),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
