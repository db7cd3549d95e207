/* Messages across protocols and back (docs/mapping.md): rows for what each field becomes, and
 * random ones, which all have to come back as they were. */
#include "generate.h"

#include "../../support/alloc_fault.h"
#include "amqp/codec/print.h"

#include <stdlib.h>

enum { GENERATED = 10000 };

static struct generator g;

/* ---- Rows */

/* Of MQTT: the properties are "name=value" for user properties. */
struct mqtt_row {
    const char *topic, *payload;
    uint8_t qos;
    bool retain;
    const char *format, *type, *response, *correlation;
    const char *user[9]; /* names and values */
    const char *printed; /* what it becomes */
};

static struct gnt_message *mqtt_of(const struct mqtt_row *row)
{
    struct gnt_mqtt_prop list[16];
    size_t count = 0;
    if (row->format)
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_PAYLOAD_FORMAT,
                                               .number = (uint32_t)(row->format[0] - '0')};
    if (row->type)
        list[count++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_CONTENT_TYPE, .text = gnt_slice_str(row->type)};
    if (row->response)
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_RESPONSE_TOPIC,
                                               .text = gnt_slice_str(row->response)};
    if (row->correlation)
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_CORRELATION_DATA,
                                               .text = gnt_slice_str(row->correlation)};
    for (int i = 0; row->user[i]; i += 2)
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_USER_PROPERTY,
                                               .text = gnt_slice_str(row->user[i]),
                                               .value = gnt_slice_str(row->user[i + 1])};
    uint8_t bytes[1024];
    const struct gnt_mqtt_proplist props = {.list = list, .count = count};
    (void)gnt_mqtt_proplist_write(bytes, &props);
    struct gnt_reader r = gnt_reader(gnt_slice(bytes, sizeof bytes));
    const uint32_t size = gnt_mqtt_vbi_read(&r);
    const struct gnt_message_init init = {.topic = gnt_slice_str(row->topic),
                                          .payload = gnt_slice_str(row->payload),
                                          .extras = gnt_slice(r.at, size),
                                          .format = GNT_EXTRAS_MQTT5,
                                          .qos = row->qos,
                                          .retain = row->retain,
                                          .expires = GNT_NEVER};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static const struct mqtt_row mqtt_rows[] = {
    {.topic = "plant/1.5/temp",
     .payload = "21",
     .printed = "properties to=\"plant/1.5/temp\" subject=\"plant/1.5/temp\"; data b\"21\""},
    {.topic = "t",
     .payload = "",
     .qos = 2,
     .retain = true,
     .printed = "message-annotations {'x-opt-retain-message': true, 'x-opt-mqtt-qos': ubyte 2}; "
                "properties to=\"t\" subject=\"t\"; data b\"\""},
    {.topic = "t",
     .payload = "p",
     .qos = 1,
     .format = "1",
     .type = "text/plain",
     .response = "answers/7",
     .correlation = "c",
     .user = {"k", "v", "l", ""},
     .printed = "message-annotations {'x-opt-mqtt-payload-format': ubyte 1}; properties to=\"t\" "
                "subject=\"t\" reply-to=\"topic://answers/7\" correlation-id=b\"c\" "
                "content-type='text/plain'; application-properties {\"k\": \"v\", \"l\": \"\"}; "
                "data b\"p\""},
    {.topic = "t",
     .payload = "p",
     .type = "\xd1\x82",
     .response = "$queue/answers",
     .user = {"k", "1", "k", "2"},
     .printed = "message-annotations {'x-opt-mqtt-content-type': \"\xd1\x82\", "
                "'x-opt-mqtt-user-properties': [\"k\", \"1\", \"k\", \"2\"]}; "
                "properties to=\"t\" subject=\"t\" reply-to=\"answers\"; "
                "application-properties {\"k\": \"1\"}; data b\"p\""},
    {.topic = "t", /* reserved, and not ours */
     .payload = "p",
     .user = {"x-opt-amqp-footer", "?"},
     .printed = "message-annotations {'x-opt-mqtt-user-properties': [\"x-opt-amqp-footer\", "
                "\"?\"]}; properties to=\"t\" subject=\"t\"; "
                "application-properties {\"x-opt-amqp-footer\": \"?\"}; data b\"p\""},
};

static void assert_printed(const struct gnt_message *amqp, const char *text)
{
    struct gnt_buf out = {0};
    assert_int_equal(gnt_amqp_print_message(&out, 4096, amqp->payload), GNT_OK);
    assert_int_equal(gnt_buf_put(&out, gnt_slice("", 1)), GNT_OK);
    assert_string_equal((const char *)gnt_buf_slice(&out).data, text);
    gnt_buf_fini(&out);
}

static void assert_view_same(const struct gnt_message *a, const struct gnt_message *b)
{
    struct gnt_arena arena = {0};
    struct gnt_mapping_view was, is;
    assert_int_equal(gnt_mapping_view(&arena, a, &was), GNT_OK);
    assert_int_equal(gnt_mapping_view(&arena, b, &is), GNT_OK);
    assert_true(gnt_slice_eq(was.topic, is.topic));
    assert_true(gnt_slice_eq(was.payload, is.payload));
    assert_int_equal(was.format, is.format);
    assert_int_equal(was.qos, is.qos);
    assert_int_equal(was.retain, is.retain);
    assert_int_equal(was.user_count, is.user_count);
    for (size_t i = 0; i < was.user_count; i++) {
        assert_true(gnt_slice_eq(was.user[i].name, is.user[i].name));
        assert_true(gnt_slice_eq(was.user[i].value, is.user[i].value));
    }
    assert_int_equal(was.type.there, is.type.there);
    assert_true(gnt_slice_eq(was.type.text, is.type.text));
    assert_int_equal(was.response.there, is.response.there);
    assert_true(gnt_slice_eq(was.response.text, is.response.text));
    assert_int_equal(was.correlation.there, is.correlation.there);
    assert_true(gnt_slice_eq(was.correlation.text, is.correlation.text));
    assert_int_equal(a->publisher, b->publisher);
    assert_int_equal(a->expires, b->expires);
    gnt_arena_fini(&arena);
}

static void test_mqtt_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mqtt_rows); i++) {
        struct gnt_message *mqtt = mqtt_of(&mqtt_rows[i]), *amqp, *back;
        assert_int_equal(gnt_mapping_to_amqp(mqtt, &amqp), GNT_OK);
        assert_printed(amqp, mqtt_rows[i].printed);
        assert_int_equal(gnt_mapping_to_mqtt(amqp, &back), GNT_OK);
        assert_view_same(mqtt, back);
        gnt_message_unref(&mqtt);
        gnt_message_unref(&amqp);
        gnt_message_unref(&back);
    }
}

/* ---- AMQP */

/* As text: what two messages have in common is what can be read. */
static void assert_amqp_same(const struct gnt_message *a, const struct gnt_message *b)
{
    struct gnt_amqp_message was, is;
    assert_int_equal(gnt_amqp_message_split(a->payload, &was), GNT_OK);
    assert_int_equal(gnt_amqp_message_split(b->payload, &is), GNT_OK);
    const struct {
        struct gnt_slice was, is;
    } section[] = {{was.message_annotations, is.message_annotations},
                   {was.properties, is.properties},
                   {was.application_properties, is.application_properties},
                   {was.body, is.body},
                   {was.footer, is.footer}};
    for (size_t i = 0; i < COUNT_OF(section); i++) {
        struct gnt_amqp_value v = {0}, w = {0};
        const bool none = !gnt_amqp_section(section[i].was, &v) || (i != 3 && v.count == 0);
        if (none) {
            assert_true(!gnt_amqp_section(section[i].is, &w) || (i != 3 && w.count == 0));
            continue;
        }
        struct gnt_buf x = {0}, y = {0};
        assert_int_equal(gnt_amqp_print_message(&x, GENERATED_MAX, section[i].was), GNT_OK);
        assert_int_equal(gnt_amqp_print_message(&y, GENERATED_MAX, section[i].is), GNT_OK);
        assert_true(gnt_slice_eq(gnt_buf_slice(&x), gnt_buf_slice(&y)));
        gnt_buf_fini(&x);
        gnt_buf_fini(&y);
    }
    assert_true(gnt_slice_eq(a->topic, b->topic));
    assert_int_equal(a->qos, b->qos);
    assert_int_equal(a->retain, b->retain);
    assert_int_equal(a->publisher, b->publisher);
    assert_int_equal(a->expires, b->expires);
    struct gnt_amqp_header h = {0}, i = {0};
    if (a->extras.size)
        assert_int_equal(gnt_amqp_decode_header(a->extras, &h), GNT_OK);
    if (b->extras.size)
        assert_int_equal(gnt_amqp_decode_header(b->extras, &i), GNT_OK);
    assert_int_equal(h.has.priority, i.has.priority);
    if (h.has.priority)
        assert_int_equal(h.priority, i.priority);
}

struct amqp_row {
    const char *hex; /* the message behind its header */
    const char *payload;
    struct gnt_mqtt_prop props[6];
    size_t count;
};

#define USER(n, v)                                                                               \
    {                                                                                            \
        .row = GNT_PROP_USER_PROPERTY, .text = {(const uint8_t *)(n), sizeof(n) - 1}, .value = { \
            (const uint8_t *)(v),                                                                \
            sizeof(v) - 1                                                                        \
        }                                                                                        \
    }
#define TEXT(r, t)                                                 \
    {                                                              \
        .row = (r), .text = {(const uint8_t *)(t), sizeof(t) - 1 } \
    }

static const struct amqp_row amqp_rows[] = {
    {.hex = "005377a1026869", /* amqp-value "hi", no properties */
     .payload = "hi",
     .props = {{.row = GNT_PROP_PAYLOAD_FORMAT, .number = 1},
               USER("x-opt-amqp-properties", ""),
               USER("x-opt-amqp-body", "string")},
     .count = 3},
    /* properties to "t", subject "t", content type a/b; application properties n: int 5, data */
    {.hex = "005373c0100740 40a10174a1017440 40a303612f62"
            "005374c10902a1016e71 00000005"
            "005375a00178",
     .payload = "x",
     .props = {TEXT(GNT_PROP_CONTENT_TYPE, "a/b"), USER("n", "5"),
               USER("x-opt-amqp-application-properties", "AFN0wQkCoQFucQAAAAU=")},
     .count = 3},
    /* two data sections, to a queue */
    {.hex = "005373c0090440 40a10174a10174"
            "005375a00161"
            "005375a0026263",
     .payload = "abc",
     .props = {USER("x-opt-amqp-body", "data 1,2")},
     .count = 1},
};

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t digits = 0;
    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        const uint8_t nibble = (uint8_t)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
        out[digits / 2] = (uint8_t)(digits % 2 ? out[digits / 2] | nibble : nibble << 4);
        digits++;
    }
    return digits / 2;
}

static void test_amqp_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(amqp_rows); i++) {
        const struct amqp_row *row = &amqp_rows[i];
        uint8_t bytes[256];
        const struct gnt_message_init init = {.topic = LITERAL("t"),
                                              .payload =
                                                  gnt_slice(bytes, from_hex(row->hex, bytes)),
                                              .format = GNT_EXTRAS_AMQP,
                                              .expires = GNT_NEVER};
        struct gnt_message *amqp, *mqtt, *back;
        assert_int_equal(gnt_message_new(&init, &amqp), GNT_OK);
        assert_int_equal(gnt_mapping_to_mqtt(amqp, &mqtt), GNT_OK);
        assert_true(gnt_slice_eq_str(mqtt->payload, row->payload));
        struct gnt_slice raw = mqtt->extras;
        struct gnt_mqtt_prop prop;
        for (size_t n = 0; n < row->count; n++) {
            assert_true(gnt_mqtt_prop_next(&raw, &prop));
            assert_int_equal(prop.row, row->props[n].row);
            assert_int_equal(prop.number, row->props[n].number);
            assert_true(gnt_slice_eq(prop.text, row->props[n].text));
            assert_true(gnt_slice_eq(prop.value, row->props[n].value));
        }
        assert_false(gnt_mqtt_prop_next(&raw, &prop));
        assert_int_equal(gnt_mapping_to_amqp(mqtt, &back), GNT_OK);
        assert_amqp_same(amqp, back);
        gnt_message_unref(&amqp);
        gnt_message_unref(&mqtt);
        gnt_message_unref(&back);
    }
}

/* A reserved field that does not go with the rest is one like any other. */
static void test_not_believed(void **state)
{
    (void)state;
    uint8_t bytes[256];
    const struct gnt_message_init init = {.topic = LITERAL("t"),
                                          .payload =
                                              gnt_slice(bytes, from_hex(amqp_rows[2].hex, bytes)),
                                          .format = GNT_EXTRAS_AMQP,
                                          .expires = GNT_NEVER};
    struct gnt_message *amqp, *mqtt, *changed, *back;
    assert_int_equal(gnt_message_new(&init, &amqp), GNT_OK);
    assert_int_equal(gnt_mapping_to_mqtt(amqp, &mqtt), GNT_OK);
    const struct gnt_message_init longer = {.topic = mqtt->topic,
                                            .payload = LITERAL("abcd"), /* not 1 and 2 bytes */
                                            .extras = mqtt->extras,
                                            .format = GNT_EXTRAS_MQTT5,
                                            .expires = GNT_NEVER};
    assert_int_equal(gnt_message_new(&longer, &changed), GNT_OK);
    assert_int_equal(gnt_mapping_to_amqp(changed, &back), GNT_OK);
    assert_printed(back, "message-annotations {'x-opt-mqtt-user-properties': "
                         "[\"x-opt-amqp-body\", \"data 1,2\"]}; properties to=\"t\" subject=\"t\"; "
                         "application-properties {\"x-opt-amqp-body\": \"data 1,2\"}; "
                         "data b\"abcd\"");
    gnt_message_unref(&amqp);
    gnt_message_unref(&mqtt);
    gnt_message_unref(&changed);
    gnt_message_unref(&back);
}

/* ---- Random ones */

static uint64_t first_seed = 1, seeds = GENERATED;

static void begin(uint64_t seed)
{
    if (seed % 1000 == 0)
        print_message("seeds from %llu on\n", (unsigned long long)seed);
    gnt_seeded_init(&g.seeded, seed);
}

static void test_random_mqtt(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        begin(seed);
        struct gnt_message *mqtt = some_mqtt(&g), *amqp, *back;
        gnt_err err = gnt_mapping_to_amqp(mqtt, &amqp);
        if (!err)
            err = gnt_mapping_to_mqtt(amqp, &back);
        if (err)
            fail_msg("seed %llu: %s", (unsigned long long)seed, gnt_err_text(err));
        struct gnt_amqp_message parts;
        assert_int_equal(gnt_amqp_message_split(amqp->payload, &parts), GNT_OK);
        assert_true(gnt_amqp_message_valid(&parts));
        assert_view_same(mqtt, back);
        gnt_message_unref(&mqtt);
        gnt_message_unref(&amqp);
        gnt_message_unref(&back);
    }
}

static void test_random_amqp(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        begin(seed);
        struct gnt_message *amqp = some_amqp(&g), *mqtt, *back;
        gnt_err err = gnt_mapping_to_mqtt(amqp, &mqtt);
        if (!err)
            err = gnt_mapping_to_amqp(mqtt, &back);
        if (err)
            fail_msg("seed %llu: %s", (unsigned long long)seed, gnt_err_text(err));
        if (seeds == 1) {
            struct gnt_buf out = {0};
            assert_int_equal(gnt_amqp_print_message(&out, 65536, amqp->payload), GNT_OK);
            print_message("%.*s\n", (int)gnt_buf_size(&out),
                          (const char *)gnt_buf_slice(&out).data);
            gnt_buf_clear(&out);
            assert_int_equal(gnt_amqp_print_message(&out, 65536, back->payload), GNT_OK);
            print_message("%.*s\n", (int)gnt_buf_size(&out),
                          (const char *)gnt_buf_slice(&out).data);
            gnt_buf_fini(&out);
        }
        assert_amqp_same(amqp, back);
        gnt_message_unref(&amqp);
        gnt_message_unref(&mqtt);
        gnt_message_unref(&back);
    }
}

/* ---- The rest */

/* A section of more than 65,535 characters of base64. */
static void test_long(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    uint8_t *bytes = calloc(1, SIZE + 64);
    assert_non_null(bytes);
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, SIZE + 64);
    const size_t mark = gnt_amqp_begin_section(&w, GNT_AMQP_FOOTER);
    uint8_t *zeros = calloc(1, SIZE);
    gnt_amqp_put_symbol(&w, LITERAL("sum"));
    gnt_amqp_put_binary(&w, gnt_slice(zeros, SIZE));
    gnt_amqp_end_map(&w, mark, 2);
    assert_true(gnt_amqp_fits(&w));
    const struct gnt_message_init init = {.topic = LITERAL("t"),
                                          .payload = gnt_amqp_written(&w),
                                          .format = GNT_EXTRAS_AMQP,
                                          .expires = GNT_NEVER};
    struct gnt_message *amqp, *mqtt, *back;
    assert_int_equal(gnt_message_new(&init, &amqp), GNT_OK);
    assert_int_equal(gnt_mapping_to_mqtt(amqp, &mqtt), GNT_OK);
    assert_int_equal(gnt_mapping_to_amqp(mqtt, &back), GNT_OK);
    assert_amqp_same(amqp, back);
    gnt_message_unref(&amqp);
    gnt_message_unref(&mqtt);
    gnt_message_unref(&back);
    free(zeros);
    free(bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    static const uint8_t bad[][4] = {{0, 0x53, 0x75, 0xa0}, {1, 2, 3, 4}, {0, 0x53, 0x70, 0x45}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct gnt_message_init init = {.topic = LITERAL("t"),
                                              .payload = gnt_slice(bad[i], sizeof bad[i]),
                                              .extras = LITERAL("x"),
                                              .format = GNT_EXTRAS_AMQP,
                                              .expires = GNT_NEVER};
        struct gnt_message *amqp, *mqtt;
        assert_int_equal(gnt_message_new(&init, &amqp), GNT_OK);
        assert_int_equal(gnt_mapping_to_mqtt(amqp, &mqtt), GNT_MALFORMED);
        assert_null(mqtt);
        gnt_message_unref(&amqp);
    }
}

static void test_wishes(void **state)
{
    (void)state;
    struct gnt_message *mqtt = mqtt_of(&mqtt_rows[1]), *amqp;
    assert_int_equal(gnt_mapping_to_amqp(mqtt, &amqp), GNT_OK);
    struct gnt_amqp_message parts;
    assert_int_equal(gnt_amqp_message_split(amqp->payload, &parts), GNT_OK);
    uint8_t qos;
    bool retain;
    gnt_mapping_wishes(&parts, true, &qos, &retain);
    assert_int_equal(qos, 2);
    assert_true(retain);
    gnt_mapping_wishes(&(struct gnt_amqp_message){0}, true, &qos, &retain);
    assert_int_equal(qos, 1);
    assert_false(retain);
    gnt_mapping_wishes(&(struct gnt_amqp_message){0}, false, &qos, &retain);
    assert_int_equal(qos, 0);
    gnt_message_unref(&mqtt);
    gnt_message_unref(&amqp);
}

static void test_twin(void **state)
{
    (void)state;
    struct gnt_message *mqtt = mqtt_of(&mqtt_rows[2]), *amqp, *again, *same;
    assert_int_equal(gnt_mapping_as_mqtt(mqtt, &same), GNT_OK);
    assert_ptr_equal(same, mqtt);
    assert_int_equal(gnt_mapping_as_amqp(mqtt, &amqp), GNT_OK);
    assert_int_equal(amqp->format, GNT_EXTRAS_AMQP);
    assert_int_equal(gnt_mapping_as_amqp(mqtt, &again), GNT_OK);
    assert_ptr_equal(again, amqp);
    struct gnt_message *late; /* two threads at once: the second one's goes */
    assert_int_equal(gnt_mapping_to_amqp(mqtt, &late), GNT_OK);
    assert_ptr_equal(gnt_message_keep_twin(mqtt, &late), amqp);
    assert_null(late);
    gnt_message_unref(&mqtt);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        gnt_seeded_init(&g.seeded, seed);
        struct gnt_message *mqtt = some_mqtt(&g), *amqp = some_amqp(&g), *out;
        gnt_err err = GNT_NOMEM;
        for (long n = 0; err == GNT_NOMEM; n++) {
            gnt_alloc_fail_at(n);
            err = gnt_mapping_to_amqp(mqtt, &out);
            assert_true((err == GNT_OK) == (out != NULL));
            gnt_message_unref(&out);
        }
        err = GNT_NOMEM;
        for (long n = 0; err == GNT_NOMEM; n++) {
            gnt_alloc_fail_at(n);
            err = gnt_mapping_to_mqtt(amqp, &out);
            assert_true((err == GNT_OK) == (out != NULL));
            gnt_message_unref(&out);
        }
        gnt_alloc_fail_at(-1);
        gnt_message_unref(&mqtt);
        gnt_message_unref(&amqp);
    }
}

/* test_mapping [FIRST [COUNT]]: other seeds. */
int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_rows),    cmocka_unit_test(test_amqp_rows),
        cmocka_unit_test(test_not_believed), cmocka_unit_test(test_random_mqtt),
        cmocka_unit_test(test_random_amqp),  cmocka_unit_test(test_long),
        cmocka_unit_test(test_malformed),    cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_twin),         cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
