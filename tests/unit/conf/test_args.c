#include "conf/args.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

/* Options like those of a publishing command: -h is the host. */
struct letter {
    char *host;
    uint16_t port;
    bool retain;
    struct gnt_strings topics;
    int level;
    char *properties[4]; /* name and value pairs; freed by hand */
    size_t property_count;
};

static const struct gnt_option_word levels[] = {{"low", 0}, {"high", 1}, {NULL, 0}};

/* -D COMMAND user-property NAME VALUE, or -D COMMAND NAME VALUE. */
static int take_property(const struct gnt_option *row, void *values, int count, char *const *words,
                         struct gnt_why *why)
{
    struct letter *letter = values;
    bool user = count > 1 && strcmp(words[1], "user-property") == 0;
    int needed = user ? 4 : 3;
    if (count < needed || letter->property_count == 4) {
        gnt_why_set(why, "expected %s", row->metavar);
        return GNT_INVALID;
    }
    for (int i = needed - 2; i < needed; i++) {
        char *copy = strdup(words[i]);
        if (!copy)
            return GNT_NOMEM;
        letter->properties[letter->property_count++] = copy;
    }
    return needed;
}

static const struct gnt_option rows[] = {
    {.flag = "host",
     .letter = 'h',
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct letter, host),
     .fallback = "localhost",
     .metavar = "HOST",
     .help = "Connects to this host."},
    {.flag = "port",
     .letter = 'p',
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct letter, port),
     .fallback = "1883",
     .min = 1,
     .max = 65535,
     .metavar = "PORT",
     .help = "Connects to this port, which has to be one that a broker of the "
             "kind that is meant listens on."},
    {.flag = "retain",
     .letter = 'r',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct letter, retain),
     .help = "Asks the broker to keep the message."},
    {.flag = "topic",
     .letter = 't',
     .kind = GNT_OPTION_STRINGS,
     GNT_OPTION_FIELD(struct letter, topics),
     .fallback = "default",
     .group = "Messages",
     .metavar = "TOPIC",
     .help = "The topic; can be given several times."},
    {.flag = "level",
     .kind = GNT_OPTION_WORD,
     GNT_OPTION_FIELD(struct letter, level),
     .words = levels,
     .implied = "high",
     .group = "Messages",
     .metavar = "LEVEL",
     .help = "How loud."},
    {.flag = "property",
     .letter = 'D',
     .kind = GNT_OPTION_TAKE,
     .take = take_property,
     .group = "Messages",
     .metavar = "COMMAND PROPERTY... VALUE",
     .help = "Adds a property."},
    {.path = "yaml.only",
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct letter, port),
     .fallback = "1883",
     .max = 65535,
     .help = "Is not here."},
};

static const struct gnt_args args = {
    .usage = "letter [OPTION]... WORD [WORD]",
    .about = "Writes a letter.",
    .footer = "Example:\n  letter -t a hello",
    .table = GNT_OPTION_TABLE(struct letter, rows),
    .words_min = 0,
    .words_max = 2,
};

/* A command line as one text, cut at spaces ("_" is an empty word). */
struct line {
    char text[400];
    char *words[40];
    int count;
};

static void cut(struct line *line, const char *text)
{
    line->count = 0;
    assert_true(strlen(text) < sizeof line->text);
    strcpy(line->text, text);
    char *rest = NULL;
    for (char *w = strtok_r(line->text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        line->words[line->count++] = strcmp(w, "_") ? w : w + 1;
}

static void fini(struct letter *letter)
{
    for (size_t i = 0; i < letter->property_count; i++)
        free(letter->properties[i]);
    gnt_options_fini(&args.table, letter);
}

/* Reads TEXT into a fresh letter and compares the diagnostics, joined by "; ". */
static gnt_err parse(const char *text, struct letter *letter, struct line *line,
                     struct gnt_args_result *result, const char *lines)
{
    struct gnt_diag diag = {.count = 0};
    char all[4096] = "";
    cut(line, text);
    assert_int_equal(gnt_options_init(&args.table, letter), GNT_OK);
    gnt_err err = gnt_args_parse(&args, line->count, line->words, letter, result, &diag);
    for (size_t i = 0; i < diag.count; i++) {
        strcat(all, i ? "; " : "");
        strcat(all, diag.lines[i]);
    }
    gnt_diag_fini(&diag);
    assert_string_equal(all, lines);
    return err;
}

static void forms_of_a_value(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "--port=99", "--port 99", "-p 99", "-p99", "-p 98 --port=99", "--port=99 --",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct letter letter;
        struct line line;
        struct gnt_args_result result;
        assert_int_equal(parse(forms[i], &letter, &line, &result, ""), GNT_OK);
        assert_int_equal(letter.port, 99);
        assert_string_equal(letter.host, "localhost");
        assert_int_equal(result.word_count, 0);
        fini(&letter);
    }
}

static void everything_at_once(void **state)
{
    (void)state;
    struct letter letter;
    struct line line;
    struct gnt_args_result result;
    assert_int_equal(parse("one -h example.org -r -t a --topic=b -tc --level -D publish "
                           "user-property k v -D publish content-type text -- -two",
                           &letter, &line, &result, ""),
                     GNT_OK);
    assert_string_equal(letter.host, "example.org");
    assert_true(letter.retain);
    assert_int_equal(letter.topics.count, 3); /* the default is replaced */
    assert_string_equal(letter.topics.items[0], "a");
    assert_string_equal(letter.topics.items[2], "c");
    assert_int_equal(letter.level, 1);
    assert_int_equal(letter.property_count, 4);
    assert_string_equal(letter.properties[0], "k");
    assert_string_equal(letter.properties[3], "text");
    assert_int_equal(result.word_count, 2);
    assert_string_equal(result.words[0], "one");
    assert_string_equal(result.words[1], "-two");
    fini(&letter);
}

static void odd_values(void **state)
{
    (void)state;
    struct letter letter;
    struct line line;
    struct gnt_args_result result;
    assert_int_equal(parse("--host= --retain=no -t _ -t -x -t=y - --level=low", &letter, &line,
                           &result, ""),
                     GNT_OK);
    assert_string_equal(letter.host, "");
    assert_false(letter.retain);
    assert_int_equal(letter.topics.count, 3);
    assert_string_equal(letter.topics.items[0], "");
    assert_string_equal(letter.topics.items[1], "-x"); /* a value may look like an option */
    assert_string_equal(letter.topics.items[2], "=y");
    assert_int_equal(letter.level, 0);
    assert_int_equal(result.word_count, 1); /* "-" is a word */
    fini(&letter);
}

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *lines;
    } bad[] = {
        {"--prot 1", "unknown option '--prot', did you mean '--port'?"},
        {"--hepl", "unknown option '--hepl', did you mean '--help'?"},
        {"--parrots=1", "unknown option '--parrots', see --help"},
        {"--yaml.only=1", "unknown option '--yaml.only', see --help"},
        {"-x", "unknown option '-x', see --help"},
        {"-port", "-p: expected an integer from 1 to 65535, got 'ort'"},
        {"-port 1 2", "-p: expected an integer from 1 to 65535, got 'ort'"},
        {"--port", "--port: a value is missing: --port PORT"},
        {"-p", "-p: a value is missing: -p PORT"},
        {"--port=0", "--port: expected an integer from 1 to 65535, got '0'"},
        {"--retain=maybe", "--retain: expected true or false, got 'maybe'"},
        {"--level=hgih", "--level: expected low or high, got 'hgih', did you mean 'high'?"},
        {"-D user-property x", "-D: expected COMMAND PROPERTY... VALUE"},
        {"--property=publish", "--property: expected COMMAND PROPERTY... VALUE"},
        {"a b c", "unexpected word 'c', see --help"},
        {"--version=3", "--version takes no value"},
        {"-\x1b[1m", "unknown option '-\\x1b[1m', see --help"},
        {"-p x --zzz a b c", /* c may be meant for --zzz */
         "-p: expected an integer from 1 to 65535, got 'x'; unknown option '--zzz', see --help"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct letter letter;
        struct line line;
        struct gnt_args_result result;
        assert_int_equal(parse(bad[i].text, &letter, &line, &result, bad[i].lines), GNT_INVALID);
        fini(&letter);
    }
}

static void too_few_words(void **state)
{
    (void)state;
    struct gnt_args needy = args;
    struct letter letter;
    struct gnt_args_result result;
    struct gnt_diag diag = {.count = 0};
    struct line line;
    needy.words_min = 2;
    cut(&line, "one");
    assert_int_equal(gnt_options_init(&args.table, &letter), GNT_OK);
    assert_int_equal(gnt_args_parse(&needy, line.count, line.words, &letter, &result, &diag),
                     GNT_INVALID);
    assert_string_equal(diag.lines[0], "1 word is missing, see --help");
    gnt_diag_fini(&diag);
    fini(&letter);
}

static void help_and_version_come_first(void **state)
{
    (void)state;
    struct letter letter;
    struct line line;
    struct gnt_args_result result;
    assert_int_equal(parse("a b c d --help --nonsense", &letter, &line, &result, ""), GNT_OK);
    assert_true(result.help);
    assert_false(result.version);
    fini(&letter);
    assert_int_equal(parse("--version", &letter, &line, &result, ""), GNT_OK);
    assert_true(result.version);
    fini(&letter);
    assert_int_equal(parse("-h --help", &letter, &line, &result, ""), GNT_OK);
    assert_false(result.help); /* the table's own -h, and --help is its value */
    assert_string_equal(letter.host, "--help");
    fini(&letter);
}

static const char help_text[] = "Usage: letter [OPTION]... WORD [WORD]\n"
                                "\n"
                                "Writes a letter.\n"
                                "\n"
                                "Options:\n"
                                "  -h, --host HOST             Connects to this host. (default:\n"
                                "                              localhost)\n"
                                "  -p, --port PORT             Connects to this port, which has\n"
                                "                              to be one that a broker of the\n"
                                "                              kind that is meant listens on.\n"
                                "                              (default: 1883)\n"
                                "  -r, --retain                Asks the broker to keep the\n"
                                "                              message.\n"
                                "\n"
                                "Messages:\n"
                                "  -t, --topic TOPIC           The topic; can be given several\n"
                                "                              times. (default: default)\n"
                                "      --level[=LEVEL]         How loud.\n"
                                "  -D, --property COMMAND PROPERTY... VALUE\n"
                                "                              Adds a property.\n"
                                "\n"
                                "Help:\n"
                                "      --help                  Shows this text.\n"
                                "      --version               Shows the version.\n"
                                "\n"
                                "Example:\n"
                                "  letter -t a hello\n";

static void help(void **state)
{
    (void)state;
    struct gnt_buf out = {NULL, 0, 0, 0};
    assert_int_equal(gnt_args_help(&args, 62, &out), GNT_OK);
    assert_int_equal(gnt_buf_put(&out, gnt_slice("", 1)), GNT_OK);
    assert_string_equal((const char *)gnt_buf_slice(&out).data, help_text);
    gnt_buf_fini(&out);
}

/* Parses, and shows the help; out of memory in either is GNT_NOMEM. */
static gnt_err work(struct line *line)
{
    struct letter letter = {.host = NULL};
    struct gnt_args_result result;
    struct gnt_diag diag = {.count = 0};
    struct gnt_buf out = {NULL, 0, 0, 0};
    gnt_err err = gnt_options_init(&args.table, &letter);
    if (!err)
        err = gnt_args_parse(&args, line->count, line->words, &letter, &result, &diag);
    if (err == GNT_INVALID)
        err = GNT_OK;
    if (!err)
        err = gnt_args_help(&args, 80, &out);
    gnt_buf_fini(&out);
    gnt_diag_fini(&diag);
    fini(&letter);
    return err;
}

static void allocation_failures(void **state)
{
    (void)state;
    for (int mistake = 0; mistake < 2; mistake++) {
        long n = 0;
        for (;; n++) {
            struct line line;
            cut(&line, mistake ? "-p x --bad" : "-h x -t a -t b -D publish user-property k v");
            gnt_alloc_fail_at(n);
            gnt_err err = work(&line);
            bool failed = gnt_alloc_failed();
            gnt_alloc_fail_at(-1);
            assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
            if (!failed)
                break;
        }
        assert_true(n >= 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_a_value),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(odd_values),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(too_few_words),
        cmocka_unit_test(help_and_version_come_first),
        cmocka_unit_test(help),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
