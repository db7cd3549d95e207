#include "cli/json.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

typedef gnt_err put(struct gnt_buf *out, struct gnt_slice text);

/* What PUT makes of IN; every allocation that it needs fails once on the way. */
static void check(put *function, struct gnt_slice in, struct gnt_slice expected)
{
    for (long n = 0;; n++) {
        struct gnt_buf out = {NULL, 0, 0, 0};
        gnt_alloc_fail_at(n);
        gnt_err err = function(&out, in);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (!failed) {
            assert_int_equal(err, GNT_OK);
            assert_int_equal(gnt_buf_size(&out), expected.size);
            assert_memory_equal(gnt_buf_slice(&out).data, expected.data, expected.size);
            gnt_buf_fini(&out);
            return;
        }
        assert_int_not_equal(err, GNT_OK);
        gnt_buf_fini(&out);
    }
}

static void strings(void **state)
{
    (void)state;
    check(gnt_json_put_text, LITERAL(""), LITERAL("\"\""));
    check(gnt_json_put_text, LITERAL("plain /text"), LITERAL("\"plain /text\""));
    check(gnt_json_put_text, LITERAL("\"q\" \\ \b\f\n\r\t\x01\x1f\x7f"),
          LITERAL("\"\\\"q\\\" \\\\ \\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""));
    check(gnt_json_put_text, LITERAL("caf\u00e9 \U0001f41f"), LITERAL("\"caf\u00e9 \U0001f41f\""));
}

static void bytes(void **state)
{
    (void)state;
    check(gnt_json_put_bytes, LITERAL("text"), LITERAL("\"text\""));
    check(gnt_json_put_bytes, LITERAL("\xff\x00z"), LITERAL("[255,0,122]"));
    check(gnt_json_put_bytes, LITERAL("a\0b"), LITERAL("[97,0,98]"));
}

static void values_on_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } good[] = {
        {"1", "1"},
        {" 27.0 ", "27.0"},
        {"\"a b\"", "\"a b\""},
        {"{ \"a\" : 27.0,\n\t\"b\": [ 1, 2.50, null ] }\r\n", "{\"a\":27.0,\"b\":[1,2.50,null]}"},
        {"[\"x \\\" y\", \"\\\\\", \" z \"]", "[\"x \\\" y\",\"\\\\\",\" z \"]"},
        {"true", "true"},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gnt_buf out = {NULL, 0, 0, 0};
        assert_int_equal(gnt_json_put_value(&out, gnt_slice_str(good[i].in)), GNT_OK);
        assert_int_equal(gnt_buf_size(&out), strlen(good[i].out));
        assert_memory_equal(gnt_buf_slice(&out).data, good[i].out, strlen(good[i].out));
        gnt_buf_fini(&out);
    }
    static const char *const bad[] = {"",        "hello",    "{",   "{\"a\":1} x", "[1,]", "01",
                                      "{\"a\"}", "\"\xff\"", "\"a", "nul",         "1 2"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct gnt_buf out = {NULL, 0, 0, 0};
        assert_int_equal(gnt_json_put_value(&out, gnt_slice_str(bad[i])), GNT_INVALID);
        assert_int_equal(gnt_buf_size(&out), 0);
        gnt_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(bytes),
        cmocka_unit_test(values_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
