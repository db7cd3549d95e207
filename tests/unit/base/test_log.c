#include "support/unit.h"

#include "base/log.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    char line[4096];
    size_t size;
    enum gnt_log_level level;
    int lines;
} got;

static void take_line(void *context, enum gnt_log_level level, const char *line, size_t size)
{
    assert_ptr_equal(context, &got);
    assert_true(size < sizeof got.line);
    memcpy(got.line, line, size);
    got.line[size] = '\0';
    got.size = size;
    got.level = level;
    got.lines++;
}

static int divert(void **state)
{
    (void)state;
    memset(&got, 0, sizeof got);
    gnt_log_divert(take_line, &got);
    gnt_log_configure(GNT_LOG_INFO, GNT_LOG_TEXT);
    return 0;
}

static int undivert(void **state)
{
    (void)state;
    gnt_log_divert(NULL, NULL);
    gnt_log_configure(GNT_LOG_INFO, GNT_LOG_TEXT);
    return 0;
}

/* The line without its time, whose form alone is checked. */
static const char *after_time(const char *line)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    return line + sizeof form - 1;
}

static void test_text(void **state)
{
    (void)state;
    gnt_log(GNT_LOG_INFO, "c17", "connect", GNT_F_STR("client", "sensor-1"),
            GNT_F_NUM("version", 5), GNT_F_NUM("offset", -3));
    assert_string_equal(after_time(got.line),
                        " info   c17 connect client=sensor-1 version=5 offset=-3");
    assert_int_equal(got.level, GNT_LOG_INFO);
    assert_int_equal(got.size, strlen(got.line));
    gnt_log(GNT_LOG_ERROR, NULL, "stop");
    assert_string_equal(after_time(got.line), " error  stop");
    gnt_log(GNT_LOG_NOTICE, "w0", "listen", GNT_F_ERR(GNT_NOMEM));
    assert_string_equal(after_time(got.line), " notice w0 listen error=\"out of memory\"");
    gnt_log(GNT_LOG_WARNING, "w0", "close", GNT_F_TEXT("reason", LITERAL("")));
    assert_string_equal(after_time(got.line), " warn   w0 close reason=\"\"");
}

/* What a peer sent can forge neither a second field nor a second line. */
static void test_text_quotes_what_could_mislead(void **state)
{
    (void)state;
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"plain/topic", "plain/topic"},
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"two\nlines", "\"two\\\\x0alines\""},
        {"\x1b[31mred", "\"\\\\x1b[31mred\""},
        {"gr\xc3\xbcn", "gr\xc3\xbcn"},
        {"\xff", "\"\\\\xff\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, " info   c1 e k=%s", rows[i].shown);
        gnt_log(GNT_LOG_INFO, "c1", "e", GNT_F_STR("k", rows[i].value));
        assert_string_equal(after_time(got.line), wanted);
    }
}

static void test_json(void **state)
{
    (void)state;
    gnt_log_configure(GNT_LOG_INFO, GNT_LOG_JSON);
    gnt_log(GNT_LOG_INFO, "c17", "connect", GNT_F_STR("client", "a \"b\"\n"),
            GNT_F_NUM("version", 5));
    static const char start[] = "{\"time\":\"";
    assert_memory_equal(got.line, start, sizeof start - 1);
    assert_string_equal(after_time(got.line + sizeof start - 1),
                        "\",\"level\":\"info\",\"on\":\"c17\",\"event\":\"connect\","
                        "\"client\":\"a \\\"b\\\"\\\\x0a\",\"version\":5}");
    gnt_log(GNT_LOG_ERROR, NULL, "stop");
    assert_string_equal(after_time(got.line + sizeof start - 1),
                        "\",\"level\":\"error\",\"event\":\"stop\"}");
}

/* Any byte, any length, many fields: still one JSON object, and one line of text. */
static void test_hostile_fields(void **state)
{
    (void)state;
    uint8_t value[3000];
    for (size_t size = 0; size < sizeof value; size += 7) {
        for (size_t i = 0; i < size; i++)
            value[i] = (uint8_t)(i * 31 + size);
        const struct gnt_log_field fields[] = {
            GNT_F_TEXT("a", gnt_slice(value, size)), GNT_F_TEXT("b", gnt_slice(value, size)),
            GNT_F_TEXT("c", gnt_slice(value, size)), GNT_F_TEXT("d", gnt_slice(value, size)),
            GNT_F_TEXT("e", gnt_slice(value, size)), GNT_F_TEXT("f", gnt_slice(value, size)),
        };
        gnt_log_configure(GNT_LOG_INFO, GNT_LOG_JSON);
        gnt_log_event(GNT_LOG_INFO, "c1", "e", fields, COUNT_OF(fields));
        json_error_t error;
        json_t *object = json_loadb(got.line, got.size, 0, &error);
        if (!object)
            fail_msg("%s: %s", error.text, got.line);
        assert_non_null(json_object_get(object, "a"));
        json_decref(object);
        gnt_log_configure(GNT_LOG_INFO, GNT_LOG_TEXT);
        gnt_log_event(GNT_LOG_INFO, "c1", "e", fields, COUNT_OF(fields));
        assert_true(gnt_utf8_valid(gnt_slice(got.line, got.size)));
        assert_null(memchr(got.line, '\n', got.size));
    }
}

static void test_levels(void **state)
{
    (void)state;
    for (int most = GNT_LOG_ERROR; most <= GNT_LOG_DEBUG; most++) {
        gnt_log_configure((enum gnt_log_level)most, GNT_LOG_TEXT);
        got.lines = 0;
        gnt_log(GNT_LOG_ERROR, NULL, "e");
        gnt_log(GNT_LOG_WARNING, NULL, "e");
        gnt_log(GNT_LOG_NOTICE, NULL, "e");
        gnt_log(GNT_LOG_INFO, NULL, "e");
        gnt_log(GNT_LOG_DEBUG, NULL, "e");
        assert_int_equal(got.lines, most + 1);
    }
}

static void test_limit(void **state)
{
    (void)state;
    struct gnt_log_limit limit = {0};
    uint32_t left_out, passed = 0, refused = 0, told = 0;
    /* However the seconds fall: what was refused is told by the next that pass. */
    for (int i = 0; i < 1000; i++) {
        if (gnt_log_pass(&limit, &left_out)) {
            passed++;
            told += left_out;
        } else {
            refused++;
        }
    }
    assert_in_range(passed, GNT_LOG_BURST, 3 * GNT_LOG_BURST);
    assert_int_equal(passed + refused, 1000);
    atomic_fetch_sub(&limit.second, 1); /* as if a second had gone by */
    assert_true(gnt_log_pass(&limit, &left_out));
    assert_int_equal(told + left_out, refused);
    assert_true(gnt_log_pass(&limit, &left_out));
    assert_int_equal(left_out, 0);
}

static void test_limited_lines(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        gnt_log_limited(GNT_LOG_INFO, "c1", "flood", GNT_F_NUM("i", i));
    assert_in_range(got.lines, GNT_LOG_BURST, 3 * GNT_LOG_BURST);
    got.lines = 0;
    gnt_log_limited(GNT_LOG_INFO, "c1", "once");
    assert_int_equal(got.lines, 1);
    assert_string_equal(after_time(got.line), " info   c1 once");
    gnt_log_limited(GNT_LOG_DEBUG, "c1", "hidden");
    assert_int_equal(got.lines, 1);
}

/* Stderr as a pipe, in the test's hands between _begin and _end. */
struct stderr_pipe {
    int saved, reader;
};

static struct stderr_pipe pipe_begin(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct stderr_pipe p = {dup(STDERR_FILENO), ends[0]};
    assert_true(p.saved >= 0);
    gnt_log_divert(NULL, NULL);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return p;
}

static void pipe_end(const struct stderr_pipe *p)
{
    assert_true(dup2(p->saved, STDERR_FILENO) >= 0);
    close(p->saved);
    close(p->reader);
}

static void test_stderr(void **state)
{
    (void)state;
    struct stderr_pipe p = pipe_begin();
    gnt_log(GNT_LOG_INFO, "c1", "hello", GNT_F_NUM("n", 1));
    ssize_t n = read(p.reader, got.line, sizeof got.line - 1);
    pipe_end(&p);
    assert_true(n > 0);
    got.line[n] = '\0';
    assert_string_equal(after_time(got.line), " info   c1 hello n=1\n");
}

/* More than any pipe holds, and nobody reads: nothing waits, and what was left out is told. */
static void test_stderr_that_is_not_read(void **state)
{
    enum { LINES = 100000 };
    static char all[LINES * 64];
    (void)state;
    struct stderr_pipe p = pipe_begin();
    for (int i = 0; i < LINES; i++)
        gnt_log(GNT_LOG_INFO, "c1", "hello", GNT_F_NUM("n", i));
    assert_int_equal(fcntl(p.reader, F_SETFL, O_NONBLOCK), 0);
    size_t size = 0;
    for (ssize_t n; (n = read(p.reader, all + size, sizeof all - 1 - size)) > 0;)
        size += (size_t)n;
    gnt_log(GNT_LOG_INFO, "c1", "again");
    ssize_t n = read(p.reader, got.line, sizeof got.line - 1);
    pipe_end(&p);
    long lines = 0, left_out = 0;
    for (size_t i = 0; i < size; i++)
        lines += all[i] == '\n';
    assert_true(n > 0);
    got.line[n] = '\0';
    assert_int_equal(sscanf(after_time(got.line), " warn log not read lines=%ld", &left_out), 1);
    assert_int_equal(lines + left_out, LINES);
    assert_non_null(strstr(got.line, " info   c1 again\n"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, divert, undivert)
    const struct CMUnitTest tests[] = {
        TEST(test_text),          TEST(test_text_quotes_what_could_mislead),
        TEST(test_json),          TEST(test_hostile_fields),
        TEST(test_levels),        TEST(test_limit),
        TEST(test_stderr),        TEST(test_stderr_that_is_not_read),
        TEST(test_limited_lines),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
