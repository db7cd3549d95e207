#include "support/unit.h"

#include "support/mqtt_packet.h"

#include <ctype.h>

/* [MQTT5 2.2.2.2], written down a second time: where each property may stand.  C CONNECT, K
 * CONNACK, P PUBLISH, A the four acknowledgements of PUBLISH, S SUBSCRIBE, s SUBACK, U UNSUBSCRIBE,
 * u UNSUBACK, D DISCONNECT, H AUTH, W will. */
static const struct {
    const char *id, *good;  /* a value that is allowed */
    const char *low, *high; /* numbers just out of range, NULL where there is none */
    const char *in;
} standard[] = {
    {"01", "00", NULL, "02", "PW"},
    {"02", "00000000", NULL, NULL, "PW"},
    {"03", "['t']", NULL, NULL, "PW"},
    {"08", "['t']", NULL, NULL, "PW"},
    {"09", "[00ff]", NULL, NULL, "PW"},
    {"0b", "01", "00", NULL, "PS"},
    {"11", "ffffffff", NULL, NULL, "CKD"},
    {"12", "[]", NULL, NULL, "K"},
    {"13", "0000", NULL, NULL, "K"},
    {"15", "['m']", NULL, NULL, "CKH"},
    {"16", "[00]", NULL, NULL, "CKH"},
    {"17", "01", NULL, "02", "C"},
    {"18", "00000001", NULL, NULL, "W"},
    {"19", "00", NULL, "02", "C"},
    {"1a", "['r']", NULL, NULL, "K"},
    {"1c", "['s']", NULL, NULL, "KD"},
    {"1f", "['why']", NULL, NULL, "KAsuDH"},
    {"21", "0001", "0000", NULL, "CK"},
    {"22", "0000", NULL, NULL, "CK"},
    {"23", "ffff", "0000", NULL, "P"},
    {"24", "01", NULL, "02", "K"},
    {"25", "00", NULL, "ff", "K"},
    {"26", "['n']['v']", NULL, NULL, "CKPASsUuDHW"},
    {"27", "00000001", "00000000", NULL, "CK"},
    {"28", "01", NULL, "02", "K"},
    {"29", "01", NULL, "02", "K"},
    {"2a", "01", NULL, "02", "K"},
};

static const struct {
    char letter;
    uint32_t where;
} kinds[] = {
    {'C', GNT_IN_CONNECT},     {'K', GNT_IN_CONNACK},   {'P', GNT_IN_PUBLISH},
    {'A', GNT_IN_PUBACK},      {'A', GNT_IN_PUBREC},    {'A', GNT_IN_PUBREL},
    {'A', GNT_IN_PUBCOMP},     {'S', GNT_IN_SUBSCRIBE}, {'s', GNT_IN_SUBACK},
    {'U', GNT_IN_UNSUBSCRIBE}, {'u', GNT_IN_UNSUBACK},  {'D', GNT_IN_DISCONNECT},
    {'H', GNT_IN_AUTH},        {'W', GNT_IN_WILL},
};

static gnt_err decode(const char *notation, uint32_t where, uint8_t *reason)
{
    struct gnt_slice bytes = gnt_test_bytes(notation);
    struct gnt_reader r = gnt_reader(bytes);
    struct gnt_mqtt_props props;
    gnt_err err = gnt_mqtt_props_decode(&r, where, &props, reason);
    if (err == GNT_OK) {
        assert_false(r.bad);
        assert_int_equal(gnt_read_left(&r), 0);
    }
    gnt_test_free(bytes);
    return err;
}

static void expect(const char *notation, uint32_t where, uint8_t reason)
{
    uint8_t got = 0xff;
    gnt_err err = decode(notation, where, &got);
    gnt_err wanted = reason == 0 ? GNT_OK : reason == 0x81 ? GNT_MALFORMED : GNT_PROTOCOL;
    if (err != wanted || got != reason)
        fail_msg("%s in %#x: error %d, reason %#x, not %#x", notation, where, err, got, reason);
}

static void test_every_property_everywhere(void **state)
{
    (void)state;
    assert_int_equal(COUNT_OF(standard), GNT_PROP_ROWS);
    for (size_t i = 0; i < COUNT_OF(standard); i++)
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            bool allowed = strchr(standard[i].in, kinds[k].letter) != NULL;
            bool user = strcmp(standard[i].id, "26") == 0;
            bool repeats = user || (strcmp(standard[i].id, "0b") == 0 && kinds[k].letter == 'P');
            char once[64], twice[128];
            snprintf(once, sizeof once, "(%s %s)", standard[i].id, standard[i].good);
            snprintf(twice, sizeof twice, "(%s %s %s %s)", standard[i].id, standard[i].good,
                     standard[i].id, standard[i].good);
            expect(once, kinds[k].where, allowed ? 0 : 0x81);
            expect(twice, kinds[k].where, !allowed ? 0x81 : repeats ? 0 : 0x82);
        }
}

static uint32_t somewhere(const char *in)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        if (kinds[k].letter == in[0])
            return kinds[k].where;
    return 0;
}

static void test_numbers_out_of_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(standard); i++) {
        char notation[64];
        uint8_t reason = strcmp(standard[i].id, "23") == 0 ? 0x94 : 0x82;
        snprintf(notation, sizeof notation, "(%s %s)", standard[i].id,
                 standard[i].low ? standard[i].low : "");
        if (standard[i].low)
            expect(notation, somewhere(standard[i].in), reason);
        snprintf(notation, sizeof notation, "(%s %s)", standard[i].id,
                 standard[i].high ? standard[i].high : "");
        if (standard[i].high)
            expect(notation, somewhere(standard[i].in), reason);
    }
}

/* Each value without its last byte, the section's length corrected and not. */
static void test_cut_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(standard); i++) {
        char notation[64];
        snprintf(notation, sizeof notation, "%s %s", standard[i].id, standard[i].good);
        struct gnt_slice whole = gnt_test_bytes(notation);
        for (size_t cut = 1; cut < whole.size; cut++)
            for (int corrected = 0; corrected < 2; corrected++) {
                uint8_t section[32] = {(uint8_t)(corrected ? cut : whole.size)}, reason;
                memcpy(section + 1, whole.data, cut);
                struct gnt_slice part = gnt_test_copy(gnt_slice(section, sizeof section), cut + 1);
                struct gnt_reader r = gnt_reader(part);
                struct gnt_mqtt_props props;
                assert_int_equal(gnt_mqtt_props_decode(&r, somewhere(standard[i].in), &props,
                                                       &reason),
                                 GNT_MALFORMED);
                assert_int_equal(reason, 0x81);
                assert_int_equal(r.bad, !corrected);
                gnt_test_free(part);
            }
        gnt_test_free(whole);
    }
}

static void test_every_identifier(void **state)
{
    (void)state;
    for (unsigned id = 0; id < 256; id++) {
        char notation[32], hex[3];
        bool known = false;
        snprintf(hex, sizeof hex, "%02x", id);
        for (size_t i = 0; i < COUNT_OF(standard); i++)
            known |= strcmp(standard[i].id, hex) == 0;
        snprintf(notation, sizeof notation, "(%s 0000 0000 0000)", hex);
        if (!known)
            expect(notation, GNT_IN_ALL, 0x81);
    }
}

static void test_bad_sections(void **state)
{
    (void)state;
    static const struct {
        const char *section;
        uint32_t where;
        uint8_t reason;
    } rows[] = {
        {"", GNT_IN_CONNECT, 0x81},     /* no length */
        {"80", GNT_IN_CONNECT, 0x81},   /* half a length */
        {"8000", GNT_IN_CONNECT, 0x81}, /* a length longer than it needs */
        {"80808000", GNT_IN_CONNECT, 0x81},
        {"8080808001", GNT_IN_CONNECT, 0x81}, /* of five bytes */
        {"ffffffff7f", GNT_IN_CONNECT, 0x81},
        {"01", GNT_IN_CONNECT, 0x81}, /* over its end */
        {"ffffff7f", GNT_IN_CONNECT, 0x81},
        {"(8100)", GNT_IN_PUBLISH, 0x81}, /* an identifier longer than it needs */
        {"(81808000 00)", GNT_IN_PUBLISH, 0x81},
        {"(ff01 00)", GNT_IN_PUBLISH, 0x81}, /* identifier 255 */
        {"(8101 00)", GNT_IN_PUBLISH, 0x81}, /* identifier 129 */
        {"(0b 8100)", GNT_IN_PUBLISH, 0x81}, /* a value longer than it needs */
        {"(0b 8000)", GNT_IN_PUBLISH, 0x81},
        {"(0b 80808000)", GNT_IN_PUBLISH, 0x81},
        {"(0b ffffffff01)", GNT_IN_PUBLISH, 0x81},
        {"(0b ffffffff)", GNT_IN_PUBLISH, 0x81},
        {"(03 [c3])", GNT_IN_PUBLISH, 0x81}, /* not UTF-8 */
        {"(03 [00])", GNT_IN_PUBLISH, 0x81},
        {"(03 ['a'00'b'])", GNT_IN_PUBLISH, 0x81},
        {"(03 [eda080])", GNT_IN_PUBLISH, 0x81}, /* a surrogate */
        {"(03 [c0af])", GNT_IN_PUBLISH, 0x81},   /* overlong */
        {"(08 [ff])", GNT_IN_PUBLISH, 0x81},
        {"(1f [f4908080])", GNT_IN_PUBACK, 0x81}, /* over U+10FFFF */
        {"(15 [80])", GNT_IN_AUTH, 0x81},
        {"(12 [00])", GNT_IN_CONNACK, 0x81},
        {"(1a [00])", GNT_IN_CONNACK, 0x81},
        {"(1c [ff])", GNT_IN_CONNACK, 0x81},
        {"(26 [ff] ['v'])", GNT_IN_PUBLISH, 0x81},
        {"(26 ['n'] [ff])", GNT_IN_PUBLISH, 0x81},
        {"(26 [00] ['v'])", GNT_IN_PUBLISH, 0x81},
        {"(26 ['n'] ['v'] 26 ['n'] [00])", GNT_IN_PUBLISH, 0x81}, /* in a repetition, too */
        {"(26 ['n'])", GNT_IN_PUBLISH, 0x81},
        {"(26 ['n'] 0002 'v')", GNT_IN_PUBLISH, 0x81},
        {"(03 ffff 't')", GNT_IN_PUBLISH, 0x81},
        {"(0b 01 0b 00)", GNT_IN_PUBLISH, 0x82}, /* the second one is checked */
        {"(01 00 02 00000001 01 00)", GNT_IN_PUBLISH, 0x82},
        {"(0b 05 0b 05)", GNT_IN_SUBSCRIBE, 0x82},
        {"(23 0001 23 0001)", GNT_IN_PUBLISH, 0x82},
        {"(21 0000)", GNT_IN_CONNECT, 0x82},
        {"(23 0000)", GNT_IN_PUBLISH, 0x94},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(rows[i].section, rows[i].where, rows[i].reason);
}

static void test_good_section(void **state)
{
    (void)state;
    struct gnt_slice bytes = gnt_test_bytes(
        "(0b 05 26 ['k']['1'] 01 01 09 [00ff] 0b ffffff7f 26 ['k']['2'] 26 [][]) 'rest'");
    struct gnt_reader r = gnt_reader(bytes);
    struct gnt_mqtt_props props;
    memset(&props, 0xa5, sizeof props);
    uint8_t reason;
    assert_int_equal(gnt_mqtt_props_decode(&r, GNT_IN_PUBLISH, &props, &reason), GNT_OK);
    assert_slice(gnt_slice(r.at, gnt_read_left(&r)), "rest");
    assert_int_equal(gnt_mqtt_number(&props, GNT_PROP_SUBSCRIPTION_ID, 0), 5); /* the first */
    assert_int_equal(gnt_mqtt_number(&props, GNT_PROP_PAYLOAD_FORMAT, 9), 1);
    assert_int_equal(gnt_mqtt_number(&props, GNT_PROP_MESSAGE_EXPIRY, 9), 9);
    assert_slice(gnt_mqtt_text(&props, GNT_PROP_CORRELATION_DATA), "\0\xff");
    assert_slice(gnt_mqtt_text(&props, GNT_PROP_CONTENT_TYPE), "");
    assert_slice(gnt_mqtt_text(&props, GNT_PROP_USER_PROPERTY), "k");

    struct gnt_slice raw = props.raw;
    struct gnt_mqtt_prop prop;
    uint32_t ids[2] = {0};
    size_t id_count = 0, user_count = 0;
    while (gnt_mqtt_prop_next(&raw, &prop)) {
        if (prop.row == GNT_PROP_SUBSCRIPTION_ID)
            ids[id_count++] = prop.number;
        if (prop.row == GNT_PROP_USER_PROPERTY && user_count++ == 1)
            assert_slice(prop.value, "2");
    }
    assert_int_equal(id_count, 2);
    assert_int_equal(ids[0], 5);
    assert_int_equal(ids[1], 268435455);
    assert_int_equal(user_count, 3);
    assert_false(gnt_mqtt_prop_next(&raw, &prop));
    gnt_test_free(bytes);
}

static void test_rows_and_names(void **state)
{
    (void)state;
#define NAME(id, name, wire, lowest, highest, in, repeats) {id, GNT_WIRE_##wire, #name},
    static const struct {
        uint8_t id;
        enum gnt_mqtt_wire wire;
        const char *name;
    } rows[] = {GNT_MQTT_PROPS(NAME)};
#undef NAME
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const enum gnt_mqtt_prop_row row = (enum gnt_mqtt_prop_row)i;
        assert_int_equal(gnt_mqtt_prop_id(row), rows[i].id);
        assert_int_equal(gnt_mqtt_prop_id(row), strtoul(standard[i].id, NULL, 16));
        assert_int_equal(gnt_mqtt_prop_wire(row), rows[i].wire);
        const char *name = gnt_mqtt_prop_name(row);
        assert_int_equal(strlen(name), strlen(rows[i].name));
        for (size_t c = 0; name[c]; c++)
            assert_int_equal(name[c], rows[i].name[c] == '_' ? '-' : tolower(rows[i].name[c]));
    }
}

static void test_variable_byte_integers(void **state)
{
    (void)state;
    static const struct {
        uint32_t value;
        const char *bytes;
    } rows[] = {
        {0, "00"},
        {1, "01"},
        {127, "7f"},
        {128, "8001"},
        {16383, "ff7f"},
        {16384, "808001"},
        {2097151, "ffff7f"},
        {2097152, "80808001"},
        {268435455, "ffffff7f"},
        {321, "c102"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_bytes(rows[i].bytes);
        uint8_t written[4];
        assert_int_equal(gnt_mqtt_vbi_size(rows[i].value), bytes.size);
        assert_ptr_equal(gnt_mqtt_vbi_write(written, rows[i].value), written + bytes.size);
        assert_memory_equal(written, bytes.data, bytes.size);
        struct gnt_reader r = gnt_reader(bytes);
        assert_int_equal(gnt_mqtt_vbi_read(&r), rows[i].value);
        assert_false(r.bad);
        assert_int_equal(gnt_read_left(&r), 0);
        for (size_t cut = 0; cut < bytes.size; cut++) {
            struct gnt_slice part = gnt_test_copy(bytes, cut);
            r = gnt_reader(part);
            assert_int_equal(gnt_mqtt_vbi_read(&r), 0);
            assert_true(r.bad);
            gnt_test_free(part);
        }
        gnt_test_free(bytes);
    }
}

static void test_lists_are_written(void **state)
{
    (void)state;
    const struct gnt_mqtt_prop list[] = {
        {.row = GNT_PROP_PAYLOAD_FORMAT, .number = 1},
        {.row = GNT_PROP_TOPIC_ALIAS, .number = 0x1234},
        {.row = GNT_PROP_MESSAGE_EXPIRY, .number = 0x01020304},
        {.row = GNT_PROP_SUBSCRIPTION_ID, .number = 128},
        {.row = GNT_PROP_CONTENT_TYPE, .text = LITERAL("t")},
        {.row = GNT_PROP_CORRELATION_DATA, .text = LITERAL("\0\xff")},
        {.row = GNT_PROP_USER_PROPERTY, .text = LITERAL("n"), .value = LITERAL("v")},
        {.row = GNT_PROP_RESPONSE_TOPIC},
    };
    struct gnt_slice raw = gnt_test_bytes("26 ['x']['y']");
    struct gnt_mqtt_proplist props = {list, COUNT_OF(list), raw};
    struct gnt_slice wanted =
        gnt_test_bytes("(0101 231234 0201020304 0b8001 03['t'] 09[00ff] 26['n']['v'] 08[]"
                       " 26['x']['y'])");
    assert_int_equal(gnt_mqtt_proplist_size(&props), wanted.size);
    uint8_t *bytes = malloc(wanted.size);
    assert_ptr_equal(gnt_mqtt_proplist_write(bytes, &props), bytes + wanted.size);
    assert_memory_equal(bytes, wanted.data, wanted.size);
    free(bytes);
    gnt_test_free(raw);
    gnt_test_free(wanted);

    uint8_t none[1] = {7};
    assert_int_equal(gnt_mqtt_proplist_size(NULL), 1);
    assert_ptr_equal(gnt_mqtt_proplist_write(none, NULL), none + 1);
    assert_int_equal(none[0], 0);
    const struct gnt_mqtt_proplist empty = {NULL, 0, {NULL, 0}};
    assert_int_equal(gnt_mqtt_proplist_size(&empty), 1);
    none[0] = 7;
    assert_ptr_equal(gnt_mqtt_proplist_write(none, &empty), none + 1);
    assert_int_equal(none[0], 0);
}

/* Only sizes are looked at, so the bytes behind these slices are never read. */
static void test_lists_that_cannot_be_written(void **state)
{
    (void)state;
    const struct gnt_slice longest = gnt_slice("", 65535), too_long = gnt_slice("", 65536);
    const struct {
        struct gnt_mqtt_prop prop;
        size_t size;
    } rows[] = {
        {{.row = GNT_PROP_TOPIC_ALIAS, .number = 65535}, 4},
        {{.row = GNT_PROP_TOPIC_ALIAS, .number = 65536}, 0},
        {{.row = GNT_PROP_TOPIC_ALIAS, .number = 0}, 0},
        {{.row = GNT_PROP_PAYLOAD_FORMAT, .number = 2}, 0},
        {{.row = GNT_PROP_SUBSCRIPTION_ID, .number = 268435455}, 6},
        {{.row = GNT_PROP_SUBSCRIPTION_ID, .number = 268435456}, 0},
        {{.row = GNT_PROP_SUBSCRIPTION_ID, .number = 0}, 0},
        {{.row = GNT_PROP_MESSAGE_EXPIRY, .number = UINT32_MAX}, 6},
        {{.row = GNT_PROP_CONTENT_TYPE, .text = longest}, 65538 + 3},
        {{.row = GNT_PROP_CONTENT_TYPE, .text = too_long}, 0},
        {{.row = GNT_PROP_CORRELATION_DATA, .text = too_long}, 0},
        {{.row = GNT_PROP_USER_PROPERTY, .text = longest, .value = longest}, 131075 + 3},
        {{.row = GNT_PROP_USER_PROPERTY, .text = too_long}, 0},
        {{.row = GNT_PROP_USER_PROPERTY, .value = too_long}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct gnt_mqtt_proplist props = {&rows[i].prop, 1, {NULL, 0}};
        assert_int_equal(gnt_mqtt_proplist_size(&props), rows[i].size);
    }
    const struct gnt_mqtt_proplist most = {NULL, 0, gnt_slice("", 268435455)};
    const struct gnt_mqtt_proplist over = {NULL, 0, gnt_slice("", 268435456)};
    assert_int_equal(gnt_mqtt_proplist_size(&most), 268435455 + 4);
    assert_int_equal(gnt_mqtt_proplist_size(&over), 0);
    const struct gnt_mqtt_proplist wrapping = {&rows[0].prop, 1, gnt_slice("", SIZE_MAX)};
    assert_int_equal(gnt_mqtt_proplist_size(&wrapping), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_property_everywhere),
        cmocka_unit_test(test_numbers_out_of_range),
        cmocka_unit_test(test_cut_values),
        cmocka_unit_test(test_every_identifier),
        cmocka_unit_test(test_bad_sections),
        cmocka_unit_test(test_good_section),
        cmocka_unit_test(test_rows_and_names),
        cmocka_unit_test(test_variable_byte_integers),
        cmocka_unit_test(test_lists_are_written),
        cmocka_unit_test(test_lists_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
