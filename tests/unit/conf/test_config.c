#include "conf/config.h"
#include "conf/url.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file with TEXT in it for as long as one test runs. */
struct file {
    char path[40];
};

static void make(struct file *file, const char *text)
{
    strcpy(file->path, "/tmp/gnatter-test-XXXXXX");
    int fd = mkstemp(file->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void assert_no_lines(const struct gnt_diag *diag)
{
    assert_string_equal(diag->count ? diag->lines[0] : "", "");
}

static void defaults(void **state)
{
    (void)state;
    struct gnt_config c;
    assert_int_equal(gnt_config_init(&c), GNT_OK);
    assert_null(c.file);
    assert_int_equal(c.listeners.count, 1);
    assert_string_equal(c.listeners.items[0].url, "mqtt://127.0.0.1:1883");
    assert_null(c.data); /* whoever starts the broker finds one */
    assert_int_equal(c.workers, 0);
    assert_int_equal(c.allow_anonymous, GNT_ANONYMOUS_LOOPBACK);
    assert_int_equal(c.log_level, GNT_LOG_INFO);
    assert_int_equal(c.log_format, GNT_LOG_TEXT);
    assert_int_equal(c.sys_interval_ms, 10000);
    assert_int_equal(c.queue_full, GNT_QUEUE_FULL_DROP_NEWEST);
    assert_int_equal(c.limits.connections, 100000);
    assert_int_equal(c.limits.packet_bytes, 268435455);
    assert_int_equal(c.limits.queued_per_session, 1000);
    assert_int_equal(c.limits.queued_bytes, 64 << 20);
    assert_int_equal(c.limits.receive_maximum, 65535);
    assert_int_equal(c.limits.inflight_per_session, 65535);
    assert_int_equal(c.limits.topic_alias_maximum, 10);
    assert_int_equal(c.limits.topic_alias_out, 10);
    assert_int_equal(c.limits.topic_levels, 200);
    assert_int_equal(c.limits.subscriptions, 100000);
    assert_int_equal(c.limits.output_bytes, 1 << 20);
    assert_int_equal(c.limits.session_expiry_s, GNT_CONFIG_EXPIRY_UNLIMITED);
    assert_int_equal(c.limits.keep_alive_max_s, 0);
    assert_int_equal(c.limits.connect_timeout_ms, 10000);
    assert_int_equal(c.limits.topic_bytes, 65535);
    assert_int_equal(c.limits.client_id_bytes, 65535);
    assert_int_equal(c.limits.properties_bytes, 256 << 10);
    assert_int_equal(c.limits.sessions, 1000000);
    assert_int_equal(c.limits.retained, 10000000);
    assert_int_equal(c.limits.connect_rate, 0);
    assert_int_equal(c.limits.write_timeout_ms, 120000);
    assert_string_equal(c.moved.to, "none");
    assert_int_equal(c.moved.clients, GNT_MOVED_ALL);
    assert_false(c.moved.permanent);
    assert_int_equal(c.limits.maximum_qos, 2);
    assert_true(c.limits.retain_available);
    assert_true(c.limits.wildcard_available);
    assert_true(c.limits.shared_available);
    assert_true(c.limits.subscription_ids_available);
    gnt_config_fini(&c);
}

/* A list of servers as MQTT 5 has it: printable, one space between two. */
static void references(void **state)
{
    (void)state;
    static const char *const good[] = {"b", "b.example:1883", "10.0.0.1:1883 [2001:db8::1]:1883"};
    static const char *const bad[] = {"", " b", "b ", "b  c", "b\n", "b\tc", "\xc3\xa4"};
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, "moved.to");
    struct gnt_config c;
    struct gnt_why why;
    assert_int_equal(gnt_config_init(&c), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(gnt_option_set(row, &c, gnt_slice_str(good[i]), &why), GNT_OK);
    assert_string_equal(c.moved.to, good[2]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(gnt_option_set(row, &c, gnt_slice_str(bad[i]), &why), GNT_INVALID);
    assert_string_equal(c.moved.to, good[2]);
    gnt_config_fini(&c);
}

/* What every row owes: a place, a default that reads back as itself, a range that its field can
 * hold, and a sentence; no two rows share a name. */
static void rows_are_sound(void **state)
{
    (void)state;
    struct gnt_config c;
    assert_int_equal(gnt_config_init(&c), GNT_OK);
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        const struct gnt_option *row = &gnt_config_table.rows[i];
        assert_true(row->path || row->flag);
        assert_non_null(row->help);
        assert_true(row->help[strlen(row->help) - 1] == '.');
        assert_null(strpbrk(row->help, "|\n"));
        if (row->flag)
            assert_non_null(row->metavar);
        for (size_t j = 0; j < i; j++) {
            const struct gnt_option *other = &gnt_config_table.rows[j];
            assert_false(row->path && other->path && !strcmp(row->path, other->path));
            assert_false(row->flag && other->flag && !strcmp(row->flag, other->flag));
            assert_false(row->letter && row->letter == other->letter);
        }
        if (row->kind >= GNT_OPTION_INTEGER && row->kind <= GNT_OPTION_WORD) {
            struct gnt_buf text = {NULL, 0, 0, 0};
            assert_int_equal(gnt_option_text(row, &c, &text), GNT_OK);
            assert_true(gnt_slice_eq_str(gnt_buf_slice(&text), row->fallback));
            gnt_buf_fini(&text);
            assert_true(row->width == 8 || row->max >> (8 * row->width) == 0);
        }
    }
    gnt_config_fini(&c);
}

static const char whole[] = "listeners:\n"
                            "  - url: mqtt://127.0.0.1:1884\n"
                            "  - url: mqtt://[::1]\n"
                            "  - url: http://127.0.0.1:8080\n"
                            "    origins: [https://a.example, \"null\"]\n"
                            "data: /var/lib/gnatter\n"
                            "workers: 2\n"
                            "allow_anonymous: false\n"
                            "access_file: /etc/gnatter/acl\n"
                            "access:\n"
                            "  - {who: sensor-*, may: [publish, subscribe], on: \"${client}/#\"}\n"
                            "  -\n"
                            "    on: a/b\n"
                            "    may_not: [receive]\n"
                            "queue_full: drop_oldest\n"
                            "sys_interval: 0\n"
                            "log: {level: debug, format: json}\n"
                            "limits:\n"
                            "  packet: 1MiB\n"
                            "  session_expiry: 7d\n"
                            "  keep_alive_max: 5m\n";

static void a_file(void **state)
{
    (void)state;
    struct file file;
    struct gnt_config c = {.file = NULL};
    struct gnt_diag diag = {.count = 0};
    make(&file, whole);
    gnt_err err = gnt_config_load(file.path, &c, &diag);
    unlink(file.path);
    assert_no_lines(&diag);
    assert_int_equal(err, GNT_OK);
    assert_int_equal(c.listeners.count, 3);
    assert_string_equal(c.listeners.items[1].url, "mqtt://[::1]");
    assert_int_equal(c.listeners.items[1].origins.count, 0);
    assert_int_equal(c.listeners.items[2].origins.count, 2);
    assert_string_equal(c.listeners.items[2].origins.items[0], "https://a.example");
    assert_string_equal(c.listeners.items[2].origins.items[1], "null");
    assert_false(c.listeners.items[2].optional);
    assert_string_equal(c.data, "/var/lib/gnatter");
    assert_int_equal(c.workers, 2);
    assert_int_equal(c.allow_anonymous, GNT_ANONYMOUS_NO);
    assert_string_equal(gnt_config_access_file(&c), "/etc/gnatter/acl");
    assert_int_equal(c.access.count, 2);
    assert_string_equal(c.access.items[0].who, "sensor-*");
    assert_int_equal(c.access.items[0].may.count, 2);
    assert_string_equal(c.access.items[0].may.items[1], "subscribe");
    assert_int_equal(c.access.items[0].may_not.count, 0);
    assert_string_equal(c.access.items[0].on, "${client}/#");
    assert_int_equal(c.access.items[0].line, 11);
    assert_null(c.access.items[1].who);
    assert_int_equal(c.access.items[1].may.count, 0);
    assert_string_equal(c.access.items[1].may_not.items[0], "receive");
    assert_int_equal(c.access.items[1].line, 13);
    assert_int_equal(c.queue_full, GNT_QUEUE_FULL_DROP_OLDEST);
    assert_int_equal(c.sys_interval_ms, 0);
    assert_int_equal(c.log_level, GNT_LOG_DEBUG);
    assert_int_equal(c.log_format, GNT_LOG_JSON);
    assert_int_equal(c.limits.packet_bytes, 1 << 20);
    assert_int_equal(c.limits.session_expiry_s, 7 * 86400);
    assert_int_equal(c.limits.keep_alive_max_s, 300);
    assert_int_equal(c.limits.connections, 100000);
    gnt_config_fini(&c);
}

static void mistakes_in_a_file(void **state)
{
    (void)state;
    static const char *const expected[] = {
        ":1:1: unknown option 'listenrs', did you mean 'listeners'?",
        ":3:10: workers: expected an integer from 1 to 64, got '65'",
        ":5:11: limits.packet: expected a size such as 64KiB, 1MiB or 268435455, got '12 parrots'",
        ":7:10: listeners[0].url: unknown scheme 'mqt', did you mean 'mqtt'?",
    };
    struct file file;
    struct gnt_config c;
    struct gnt_diag diag = {.count = 0};
    make(&file, "listenrs:\n"
                "  - url: mqtt://127.0.0.1\n"
                "workers: 65\n"
                "limits:\n"
                "  packet: 12 parrots\n"
                "listeners:\n"
                "  - url: mqt://127.0.0.1\n");
    assert_int_equal(gnt_config_init(&c), GNT_OK);
    assert_int_equal(gnt_config_load(file.path, &c, &diag), GNT_INVALID);
    unlink(file.path);
    assert_int_equal(diag.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_memory_equal(diag.lines[i], file.path, strlen(file.path));
        assert_string_equal(diag.lines[i] + strlen(file.path), expected[i]);
    }
    assert_int_equal(c.workers, 0);
    gnt_diag_fini(&diag);
    gnt_config_fini(&c);
}

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* Only who says nothing about listeners, nor names a file, gets those that may be left out. */
static void more_by_default(void **state)
{
    (void)state;
    struct gnt_config c = {.file = NULL};
    struct gnt_diag diag = {.count = 0};
    struct gnt_args_result result;
    char word[] = "--listen=mqtt://:1";
    char *argv[] = {word};
    assert_int_equal(gnt_config_args(0, argv, &c, &result, &diag), GNT_OK);
    assert_int_equal(c.listeners.count, 3);
    assert_string_equal(c.listeners.items[0].url, "mqtt://127.0.0.1:1883");
    assert_false(c.listeners.items[0].optional);
    assert_string_equal(c.listeners.items[1].url, "amqp://127.0.0.1:5672");
    assert_true(c.listeners.items[1].optional);
    assert_string_equal(c.listeners.items[2].url, "http://127.0.0.1:8080");
    assert_true(c.listeners.items[2].optional);
    assert_true(gnt_config_anonymous(&c));
    assert_int_equal(gnt_config_args(1, argv, &c, &result, &diag), GNT_OK);
    assert_int_equal(c.listeners.count, 1);
    gnt_config_fini(&c);
}

static void origins_are_origins(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"https://a.example", true},
        {"http://localhost:3000", true},
        {"*", true},
        {"null", true},
        {"a.example", false},
        {"https://", false},
        {"", false},
        {"://a", false},
        {"https://a.example/", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct file file;
        struct gnt_config c = {.file = NULL};
        struct gnt_diag diag = {.count = 0};
        char text[200];
        (void)snprintf(text, sizeof text, "listeners: [{url: \"http://:1\", origins: [\"%s\"]}]\n",
                       rows[i].text);
        make(&file, text);
        gnt_err err = gnt_config_load(file.path, &c, &diag);
        unlink(file.path);
        assert_int_equal(err, rows[i].good ? GNT_OK : GNT_INVALID);
        gnt_diag_fini(&diag);
        gnt_config_fini(&c);
    }
}

static void the_command_line_overrides_the_file(void **state)
{
    (void)state;
    struct file file;
    struct gnt_config c = {.file = NULL};
    struct gnt_diag diag = {.count = 0};
    struct gnt_args_result result;
    make(&file, whole);
    char words[][40] = {"--workers=8",       "--config",  "",
                        "--listen",          "mqtt://:1", "--listen=mqtt://:2",
                        "--allow-anonymous", "--set",     "limits.packet=2KiB",
                        "--log-level",       "warn",      "--set=sys_interval=1s"};
    strcpy(words[2], file.path);
    char *argv[COUNT(words)];
    for (int i = 0; i < COUNT(words); i++)
        argv[i] = words[i];
    /* Twice, as a reload does it: the words are not used up. */
    for (int turn = 0; turn < 2; turn++) {
        gnt_err err = gnt_config_args(COUNT(words), argv, &c, &result, &diag);
        assert_no_lines(&diag);
        assert_int_equal(err, GNT_OK);
        assert_string_equal(c.file, file.path);
        assert_int_equal(c.workers, 8);
        assert_int_equal(c.listeners.count, 2);
        assert_string_equal(c.listeners.items[0].url, "mqtt://:1");
        assert_string_equal(c.listeners.items[1].url, "mqtt://:2");
        assert_int_equal(c.allow_anonymous, GNT_ANONYMOUS_YES);
        assert_int_equal(c.limits.packet_bytes, 2048);
        assert_int_equal(c.log_level, GNT_LOG_WARNING);
        assert_int_equal(c.log_format, GNT_LOG_JSON); /* the file's */
        assert_int_equal(c.sys_interval_ms, 1000);
    }
    unlink(file.path);
    gnt_config_fini(&c);
}

static void mistakes_on_the_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *word, *line;
    } bad[] = {
        {"--worker=1", "unknown option '--worker', did you mean '--workers'?"},
        {"--workers=many", "--workers: expected an integer from 1 to 64 or auto, got 'many'"},
        {"--listen=127.0.0.1",
         "--listen: expected a URL such as mqtt://127.0.0.1:1883, got '127.0.0.1'"},
        {"--allow-anonymous=maybe",
         "--allow-anonymous: expected loopback, true or false, got 'maybe'"},
        {"--queue-full=drop_new",
         "--queue-full: expected drop_newest, drop_oldest or disconnect, got 'drop_new', did you "
         "mean 'drop_newest'?"},
        {"--set=limits.packets=1",
         "--set: unknown option 'limits.packets', did you mean 'limits.packet'?"},
        {"--set=parrots=1", "--set: unknown option 'parrots'"},
        {"--set=limits.packet=1",
         "--set: limits.packet: expected a size from 1KiB to 268435455, got '1'"},
        {"--set=limits.maximum_qos=3",
         "--set: limits.maximum_qos: expected an integer from 0 to 2, got '3'"},
        {"--set=limits.session_expiry=1500ms",
         "--set: limits.session_expiry: expected a duration in whole seconds such as 10s, 5m, 2h "
         "or 7d, or unlimited, got '1500ms'"},
        {"--set=listeners=mqtt://:1", "--set: listeners is a list; give it by --listen"},
        {"--set=access=a", "--set: access is a list of maps, which stands in a file only"},
        {"--set=x", "--set: expected OPTION=VALUE, such as limits.packet=1MiB"},
        {"--set", "--set: expected OPTION=VALUE, such as limits.packet=1MiB"},
        {"--config=", "--config: expected a text of 1 to 4096 bytes, got 0"},
        {"--config=/nonexistent.yaml",
         "/nonexistent.yaml: cannot be read: No such file or directory"},
        {"word", "unexpected word 'word', see --help"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gnt_config c = {.workers = 4711};
        struct gnt_diag diag = {.count = 0};
        struct gnt_args_result result;
        char word[80];
        char *argv[] = {word};
        strcpy(word, bad[i].word);
        assert_int_equal(gnt_config_args(1, argv, &c, &result, &diag), GNT_INVALID);
        assert_int_equal(diag.count, 1);
        assert_string_equal(diag.lines[0], bad[i].line);
        assert_int_equal(c.workers, 4711);
        gnt_diag_fini(&diag);
    }
}

static void help_touches_nothing(void **state)
{
    (void)state;
    struct gnt_config c = {.workers = 4711};
    struct gnt_diag diag = {.count = 0};
    struct gnt_args_result result;
    char help[] = "-h";
    char *argv[] = {help};
    assert_int_equal(gnt_config_args(1, argv, &c, &result, &diag), GNT_OK);
    assert_true(result.help);
    assert_int_equal(c.workers, 4711);

    struct gnt_buf out = {NULL, 0, 0, 0};
    assert_int_equal(gnt_args_help(&gnt_config_arguments, 80, &out), GNT_OK);
    assert_int_equal(gnt_buf_put(&out, gnt_slice("", 1)), GNT_OK);
    const char *text = (const char *)gnt_buf_slice(&out).data;
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        if (gnt_config_table.rows[i].flag)
            assert_non_null(strstr(text, gnt_config_table.rows[i].flag));
    }
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    gnt_buf_fini(&out);
}

static void diff(void **state)
{
    (void)state;
    struct gnt_config a, b;
    struct gnt_why why;
    const struct gnt_option *changed[8];
    assert_int_equal(gnt_config_init(&a), GNT_OK);
    assert_int_equal(gnt_config_init(&b), GNT_OK);
    assert_int_equal(gnt_config_diff(&a, &b, changed, 8), 0);

    assert_int_equal(gnt_option_set(gnt_option_find(&gnt_config_table, "listeners"), &b,
                                    gnt_slice_str("mqtt://:1"), &why),
                     GNT_OK);
    b.workers = 2;
    b.log_level = GNT_LOG_DEBUG;
    b.limits.packet_bytes = 4096;
    assert_int_equal(gnt_config_diff(&a, &b, changed, 8), 4);
    static const struct {
        const char *path;
        bool restart;
    } expected[] = {
        {"listeners", true}, {"workers", true}, {"log.level", false}, {"limits.packet", false}};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(changed[i]->path, expected[i].path);
        assert_int_equal(changed[i]->restart, expected[i].restart);
    }
    changed[2] = NULL;
    assert_int_equal(gnt_config_diff(&a, &b, changed, 2), 4); /* counts on, writes no further */
    assert_null(changed[2]);
    gnt_config_fini(&a);
    gnt_config_fini(&b);
}

static void allocation_failures(void **state)
{
    (void)state;
    struct file file;
    make(&file, whole);
    char config[] = "-c", listen[] = "--listen=mqtt://:1";
    char *argv[] = {config, file.path, listen};
    long n = 0;
    for (;; n++) {
        struct gnt_config c = {.workers = 4711};
        struct gnt_diag diag = {.count = 0};
        struct gnt_args_result result;
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_config_args(3, argv, &c, &result, &diag);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (err)
            assert_int_equal(c.workers, 4711);
        else
            gnt_config_fini(&c);
        gnt_diag_fini(&diag);
        if (!failed)
            break;
    }
    unlink(file.path);
    assert_true(n > 10);
}

/* --- docs/configuration.md --- */

static const char begin_mark[] = "<!-- begin: generated -->\n";
static const char end_mark[] = "<!-- end: generated -->\n";

static char *read_page(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* The page that the option table asks for, around what people wrote. */
static void the_reference_is_current(void **state)
{
    (void)state;
    char path[1024];
    const char *here = strstr(__FILE__, "tests/unit/conf/");
    (void)snprintf(path, sizeof path, "%.*sdocs/configuration.md", (int)(here - __FILE__),
                   __FILE__);
    char *page = read_page(path);
    char *begin = strstr(page, begin_mark), *end = strstr(page, end_mark);
    assert_non_null(begin);
    assert_non_null(end);

    struct gnt_buf wanted = {NULL, 0, 0, 0};
    size_t head = (size_t)(begin - page) + strlen(begin_mark);
    assert_int_equal(gnt_buf_put(&wanted, gnt_slice(page, head)), GNT_OK);
    assert_int_equal(gnt_text_put(&wanted, "\n"), GNT_OK);
    assert_int_equal(gnt_config_reference(&wanted), GNT_OK);
    assert_int_equal(gnt_text_put(&wanted, "\n%s", end), GNT_OK);
    struct gnt_slice text = gnt_buf_slice(&wanted);
    if (getenv("GNATTER_WRITE_DOCS")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(text.data, 1, text.size, f), text.size);
        fclose(f);
    } else {
        assert_true(gnt_slice_eq_str(text, page));
    }
    gnt_buf_fini(&wanted);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(references),
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(a_file),
        cmocka_unit_test(mistakes_in_a_file),
        cmocka_unit_test(more_by_default),
        cmocka_unit_test(origins_are_origins),
        cmocka_unit_test(the_command_line_overrides_the_file),
        cmocka_unit_test(mistakes_on_the_command_line),
        cmocka_unit_test(help_touches_nothing),
        cmocka_unit_test(diff),
        cmocka_unit_test(allocation_failures),
        cmocka_unit_test(the_reference_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
