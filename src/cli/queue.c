/* gnatter queue: the queues of a broker, through its node $management. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/dial.h"
#include "cli/json.h"
#include "cli/say.h"
#include "cli/show.h"
#include "conf/config.h"
#include "conf/queues.h"
#include "conf/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

static const char name[] = "queue";

enum { WAIT_MS = 30000, TOLD_MS = 2000, SHOWN_MAX = 300, WORDS_MAX = 128 };

struct options {
    struct gnt_dial_options dial;
    bool json, all;
};

static const struct gnt_option rows[] = {
    {.flag = "json",
     .letter = 'j',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, json),
     .help = "Prints JSON: an object for each queue, each on a line."},
    {.flag = "all",
     .letter = 'a',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, all),
     .help = "Lists the queues, too, that were made for a connection and go with it."},
    GNT_DIAL_ROWS(struct options),
};

static const struct gnt_args arguments = {
    .usage = "gnatter queue list [OPTION]...\n"
             "gnatter queue show [OPTION]... NAME\n"
             "gnatter queue create [OPTION]... NAME [SETTING=VALUE]...\n"
             "gnatter queue set [OPTION]... NAME SETTING=VALUE...\n"
             "gnatter queue purge [OPTION]... NAME\n"
             "gnatter queue delete [OPTION]... NAME",
    .about = "The queues of a broker: which there are, and what is in them and how they are set; "
             "makes one, changes how it is set, drops its messages, deletes it. Settings are those "
             "of docs/queues.md, such as lock, max_deliveries, ttl, max_messages, overflow and "
             "durable, and for create `bind`: an MQTT topic filter whose messages the queue gets, "
             "too, which may be repeated. Who does this has to be permitted to manage the queue.",
    .footer = "Examples:\n"
              "  gnatter queue create orders lock=60s max_deliveries=5 bind='orders/#'\n"
              "  gnatter queue list\n"
              "  gnatter queue show orders --json\n"
              "  gnatter queue set orders overflow=reject max_messages=100000\n"
              "  gnatter queue purge 'orders/$DeadLetterQueue'\n"
              "  gnatter queue delete orders\n"
              "\n"
              "Exit codes: 0 done; else those of sysexits.h: 64 wrong usage, 66 there is no\n"
              "such queue, 68 host not found, 69 no connection, 73 there is such a queue, or\n"
              "it cannot be set so any more, 74 the output failed, 75 it cannot be done now, 76\n"
              "the broker does not do this, 77 not permitted, or one side refuses the other's\n"
              "certificate, 78 files of TLS that cannot be used.",
    .table = GNT_OPTION_TABLE(struct options, rows),
    .words_min = 1,
    .words_max = WORDS_MAX,
};

struct queue {
    struct gnt_dial dial;
    const struct options *options;
    gnatter_amqp_receiver *answers;
    gnatter_amqp_delivery *delivery; /* the answer */
    struct gnatter_amqp_value body;  /* of it */
    gnatter_amqp_builder *builder;
    struct gnt_buf text;
};

static int say_failed(int error)
{
    gnt_say(name, "%s", gnatter_error_text(error));
    return error == GNATTER_ENOMEM ? EX_OSERR : EX_UNAVAILABLE;
}

/* ---- One request and its answer */

/* That there is no connection is told by the client's thread, perhaps in a moment. */
static bool is_told(struct queue *q)
{
    uint64_t until = gnt_deadline(gnt_now(&gnt_clock_system), TOLD_MS * GNT_NS_PER_MS);
    bool ready;
    while (gnt_run_wait(&q->dial.run, until, -1, 0, &ready) && gnt_now(&gnt_clock_system) < until) {
    }
    return !gnt_run_goes_on(&q->dial.run);
}

static int failed(struct queue *q, int error)
{
    return is_told(q) ? gnt_run_code(&q->dial.run) : say_failed(error);
}

/* The link is there; else it has been said why not. */
static int attached(struct queue *q, int error, const struct gnatter_amqp_link_info *info)
{
    char words[GNT_DIAL_WHY_MAX];
    bool refused = error == GNATTER_EREFUSED && info->error;
    if (!error)
        return EX_OK;
    if (!refused)
        return failed(q, error);
    gnt_say(name, "the broker has no $management for us: %s", gnt_dial_why(&info->why, words));
    int code = gnt_dial_code(&info->why);
    return code == EX_NOINPUT ? EX_PROTOCOL : code;
}

static int open_answers(struct queue *q, struct gnatter_amqp_link_info *info)
{
    const struct gnatter_amqp_link link = {.dynamic = true, .credit = 1};
    int err = gnatter_amqp_receiver_new(q->dial.amqp, &link, &q->answers);
    if (!err)
        err = gnatter_amqp_receiver_ready(q->answers, WAIT_MS);
    if (q->answers)
        gnatter_amqp_receiver_get_info(q->answers, info);
    return attached(q, err, info);
}

static int build(gnatter_amqp_message *m, const char *operation, const char *queue,
                 const char *reply_to, const struct gnatter_amqp_value *body)
{
    const enum gnatter_amqp_section section = GNATTER_AMQP_APPLICATION_PROPERTIES;
    int err = gnatter_amqp_set(m, GNATTER_AMQP_REPLY_TO, gnatter_amqp_string(reply_to));
    if (!err)
        err = gnatter_amqp_set(m, GNATTER_AMQP_MESSAGE_ID, gnatter_amqp_ulong(1));
    if (!err)
        err = gnatter_amqp_put(m, section, "operation", gnatter_amqp_string(operation));
    if (!err && queue)
        err = gnatter_amqp_put(m, section, "name", gnatter_amqp_string(queue));
    if (!err && queue)
        err = gnatter_amqp_put(m, section, "type", gnatter_amqp_string("queue"));
    return err ? err : gnatter_amqp_set_value(m, *body);
}

static int send_request(struct queue *q, const gnatter_amqp_message *m)
{
    const struct gnatter_amqp_link link = {.address = "$management"};
    struct gnatter_amqp_link_info info;
    struct gnatter_amqp_outcome outcome = {.error = 0};
    char words[GNT_DIAL_WHY_MAX];
    gnatter_amqp_sender *sender;
    int err = gnatter_amqp_sender_new(q->dial.amqp, &link, &sender);
    if (err)
        return say_failed(err);
    err = gnatter_amqp_sender_ready(sender, WAIT_MS);
    gnatter_amqp_sender_get_info(sender, &info);
    if (err)
        return attached(q, err, &info);
    err = gnatter_amqp_send_wait(sender, m, WAIT_MS, &outcome);
    if (err != GNATTER_EREFUSED)
        return err ? failed(q, err) : EX_OK;
    gnt_say(name, "the broker does not take the request: %s", gnt_dial_why(&outcome.why, words));
    return gnt_dial_code(&outcome.why);
}

static const struct {
    uint64_t status;
    int code;
} codes[] = {
    {400, EX_USAGE},    {403, EX_NOPERM},   {404, EX_NOINPUT},  {409, EX_CANTCREAT},
    {423, EX_TEMPFAIL}, {501, EX_PROTOCOL}, {503, EX_TEMPFAIL}, {507, EX_TEMPFAIL},
};

static int answer_code(int64_t status)
{
    if (status >= 200 && status < 300)
        return EX_OK;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == (uint64_t)status)
            return codes[i].code;
    return EX_UNAVAILABLE;
}

static int take_answer(struct queue *q, const char *queue)
{
    struct gnatter_amqp_value status, words;
    char shown[SHOWN_MAX], named[SHOWN_MAX];
    const gnatter_amqp_message *m = gnatter_amqp_delivery_message(q->delivery);
    const enum gnatter_amqp_section section = GNATTER_AMQP_APPLICATION_PROPERTIES;
    if (!gnatter_amqp_look(m, section, "statusCode", &status) || status.type != GNATTER_AMQP_INT) {
        gnt_say(name, "the broker's answer is none");
        return EX_PROTOCOL;
    }
    (void)gnatter_amqp_body_at(m, 0, &q->body);
    int code = answer_code(status.integer);
    if (!code)
        return code;
    if (!gnatter_amqp_look(m, section, "statusDescription", &words) ||
        words.type != GNATTER_AMQP_STRING)
        words = gnatter_amqp_string("it does not say why");
    gnt_utf8_printable(gnt_slice(words.bytes.data, words.bytes.size), shown, sizeof shown);
    gnt_utf8_printable(gnt_slice_str(queue ? queue : "the list"), named, sizeof named);
    gnt_say(name, "%s: %s", named, shown);
    return code;
}

/* Has the broker do OPERATION; on success q->body is the answer's. */
static int request(struct queue *q, const char *operation, const char *queue,
                   const struct gnatter_amqp_value *body)
{
    struct gnatter_amqp_link_info info = {.address = ""};
    gnatter_amqp_message *m = NULL;
    int code = open_answers(q, &info);
    if (code)
        return code;
    int err = gnatter_amqp_message_new(&m);
    if (!err)
        err = build(m, operation, queue, info.address, body);
    code = err ? say_failed(err) : send_request(q, m);
    gnatter_amqp_message_free(m);
    if (code)
        return code;
    err = gnatter_amqp_receive(q->answers, WAIT_MS, &q->delivery);
    return err ? failed(q, err) : take_answer(q, queue);
}

/* ---- Settings */

static gnt_err set_one(struct gnt_config_queue *to, const char *word)
{
    char key[64], shown[SHOWN_MAX];
    struct gnt_why why = {"expected SETTING=VALUE"};
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : 0;
    const struct gnt_option *row = NULL;
    if (size && size < sizeof key) {
        memcpy(key, word, size);
        key[size] = '\0';
        row = gnt_option_find(&gnt_config_queue_table, key);
        gnt_why_set(&why, "no setting of queues");
    }
    bool known = row && strcmp(row->path, "name") != 0;
    gnt_err err = known ? gnt_option_set(row, to, gnt_slice_str(equals + 1), &why) : GNT_INVALID;
    if (err)
        gnt_say(name, "%s: %s", gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown),
                err == GNT_INVALID ? why.text : gnt_err_text(err));
    return err;
}

/* The value of an option as $management takes it. */
static struct gnatter_amqp_value option_value(size_t row, uint64_t value,
                                              char text[GNT_QUEUE_OPTION_TEXT])
{
    switch (gnt_queue_option_rows[row].kind) {
    case GNT_QUEUE_OPTION_FLAG: return gnatter_amqp_boolean(value != 0);
    case GNT_QUEUE_OPTION_OVERFLOW:
    case GNT_QUEUE_OPTION_DURABLE:
        return gnatter_amqp_string(gnt_queue_option_text(row, value, text));
    case GNT_QUEUE_OPTION_COUNT:
    case GNT_QUEUE_OPTION_SIZE:
    case GNT_QUEUE_OPTION_DURATION: break;
    }
    return gnatter_amqp_ulong(value);
}

/* Whether one of WORDS says something about the option ROW. */
static bool is_given(char *const *words, size_t row)
{
    const char *option = gnt_queue_option_rows[row].name;
    size_t size = strlen(option);
    for (; *words; words++)
        if (strncmp(*words, option, size) == 0 && (*words)[size] == '=')
            return true;
    return false;
}

static int build_settings(gnatter_amqp_builder *b, const struct gnt_config_queue *settings,
                          char *const *words, struct gnatter_amqp_value *out)
{
    char text[GNT_QUEUE_OPTION_TEXT];
    gnatter_amqp_begin(b, GNATTER_AMQP_MAP);
    for (size_t i = 0; i < GNT_QUEUE_OPTION_ROWS; i++) {
        if (!is_given(words, i))
            continue;
        gnatter_amqp_add(b, gnatter_amqp_string(gnt_queue_option_rows[i].name));
        gnatter_amqp_add(b, option_value(i, gnt_queue_options_get(&settings->options, i), text));
    }
    if (settings->bind.count) {
        gnatter_amqp_add(b, gnatter_amqp_string("bind"));
        gnatter_amqp_begin(b, GNATTER_AMQP_LIST);
        for (size_t i = 0; i < settings->bind.count; i++)
            gnatter_amqp_add(b, gnatter_amqp_string(settings->bind.items[i]));
        gnatter_amqp_end(b);
    }
    gnatter_amqp_end(b);
    return gnatter_amqp_built(b, out);
}

/* WORDS as the body of a request, which is lent by q->builder. */
static int read_settings(struct queue *q, char *const *words, struct gnatter_amqp_value *body)
{
    struct gnt_config_queue settings;
    gnt_err err = gnt_options_init(&gnt_config_queue_table, &settings);
    for (size_t i = 0; !err && words[i]; i++)
        err = set_one(&settings, words[i]);
    if (!err) {
        int failed = gnatter_amqp_builder_new(&q->builder);
        if (!failed)
            failed = build_settings(q->builder, &settings, words, body);
        err = failed ? GNT_NOMEM : GNT_OK;
    }
    gnt_options_fini(&gnt_config_queue_table, &settings);
    return !err ? EX_OK : err == GNT_INVALID ? EX_USAGE : EX_OSERR;
}

/* ---- Printing */

/* What is not an option of queues, and not theirs to be shown as one. */
static gnt_err put_value(struct gnt_buf *out, struct gnt_slice key,
                         const struct gnatter_amqp_value *value)
{
    char text[GNT_QUEUE_OPTION_TEXT], shown[SHOWN_MAX];
    size_t row = gnt_queue_option_named(key);
    bool number = value->type == GNATTER_AMQP_ULONG;
    if (row < GNT_QUEUE_OPTION_ROWS && number)
        return gnt_text_put(out, "%s", gnt_queue_option_text(row, value->number, text));
    if (value->type == GNATTER_AMQP_STRING)
        return gnt_text_put(out, "%s",
                            gnt_utf8_printable(gnt_slice(value->bytes.data, value->bytes.size),
                                               shown, sizeof shown));
    return gnt_show_value(out, value);
}

static gnt_err put_queue(struct queue *q)
{
    struct gnatter_amqp_walk items = gnatter_amqp_items(&q->body);
    struct gnatter_amqp_value key, value;
    gnt_err err = GNT_OK;
    if (q->options->json)
        err = gnt_show_value(&q->text, &q->body);
    while (!err && !q->options->json && gnatter_amqp_next(&items, &key) &&
           gnatter_amqp_next(&items, &value)) {
        char shown[64];
        struct gnt_slice word = gnt_slice(key.bytes.data, key.bytes.size);
        err = gnt_text_put(&q->text, "%-22s ", gnt_utf8_printable(word, shown, sizeof shown));
        if (!err)
            err = put_value(&q->text, word, &value);
        if (!err)
            err = gnt_text_put(&q->text, "\n");
    }
    return !err && q->options->json ? gnt_text_put(&q->text, "\n") : err;
}

static const char temporary[] = "temporary"; /* an attribute */

/* Whether ROW is of a queue that only --all lists. */
static bool is_hidden(const struct queue *q, const struct gnatter_amqp_value *names,
                      const struct gnatter_amqp_value *row)
{
    struct gnatter_amqp_walk keys = gnatter_amqp_items(names), cells = gnatter_amqp_items(row);
    struct gnatter_amqp_value key, value;
    while (gnatter_amqp_next(&keys, &key) && gnatter_amqp_next(&cells, &value))
        if (gnatter_amqp_is(&key, temporary))
            return value.number && !q->options->all;
    return false;
}

/* A row of the list as an object of JSON. */
static gnt_err put_object(struct gnt_buf *out, const struct gnatter_amqp_value *names,
                          const struct gnatter_amqp_value *row)
{
    struct gnatter_amqp_walk keys = gnatter_amqp_items(names), cells = gnatter_amqp_items(row);
    struct gnatter_amqp_value key, value;
    const char *before = "{";
    gnt_err err = GNT_OK;
    for (; !err && gnatter_amqp_next(&keys, &key) && gnatter_amqp_next(&cells, &value);
         before = ",") {
        err = gnt_text_put(out, "%s", before);
        if (!err)
            err = gnt_show_value(out, &key);
        if (!err)
            err = gnt_text_put(out, ":");
        if (!err)
            err = gnt_show_value(out, &value);
    }
    return err ? err : gnt_text_put(out, "}\n");
}

/* The columns of the list, in the order in which they are asked for. */
static const struct column {
    const char *attribute, *heading;
} columns[] = {
    {"ready", "READY"},         {"held", "HELD"},   {"dead_letters", "DEAD"},
    {"consumers", "RECEIVERS"}, {"bytes", "BYTES"}, {"name", "NAME"},
};

enum { COLUMNS = sizeof columns / sizeof columns[0], COLUMN_WIDTH = 10 };

static gnt_err put_line(struct gnt_buf *out, const struct gnatter_amqp_value *row)
{
    struct gnatter_amqp_walk cells = gnatter_amqp_items(row);
    struct gnatter_amqp_value value;
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < COLUMNS && gnatter_amqp_next(&cells, &value); i++) {
        char shown[SHOWN_MAX];
        struct gnt_slice text = gnt_slice(value.bytes.data, value.bytes.size);
        if (value.type == GNATTER_AMQP_STRING)
            err = gnt_text_put(out, "%s", gnt_utf8_printable(text, shown, sizeof shown));
        else
            err = gnt_text_put(out, "%*" PRIu64 "  ", COLUMN_WIDTH, value.number);
    }
    return err ? err : gnt_text_put(out, "\n");
}

static gnt_err put_headings(struct gnt_buf *out)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < COLUMNS; i++)
        err = i + 1 < COLUMNS ? gnt_text_put(out, "%*s  ", COLUMN_WIDTH, columns[i].heading)
                              : gnt_text_put(out, "%s\n", columns[i].heading);
    return err;
}

static gnt_err put_list(struct queue *q)
{
    struct gnatter_amqp_value names, results, row, more;
    (void)gnatter_amqp_find(&q->body, "attributeNames", &names);
    (void)gnatter_amqp_find(&q->body, "results", &results);
    struct gnatter_amqp_walk items = gnatter_amqp_items(&results);
    gnt_err err = q->options->json ? GNT_OK : put_headings(&q->text);
    while (!err && gnatter_amqp_next(&items, &row)) {
        if (!is_hidden(q, &names, &row))
            err = q->options->json ? put_object(&q->text, &names, &row) : put_line(&q->text, &row);
    }
    if (gnatter_amqp_find(&q->body, "more", &more) && more.number)
        gnt_say(name, "there are more than these");
    return err;
}

static gnt_err put_purged(struct queue *q)
{
    struct gnatter_amqp_value purged;
    if (q->options->json)
        return put_queue(q);
    if (!gnatter_amqp_find(&q->body, "purged", &purged))
        return GNT_OK;
    return gnt_text_put(&q->text, "%" PRIu64 " message%s dropped\n", purged.number,
                        purged.number == 1 ? "" : "s");
}

static gnt_err put_nothing(struct queue *q)
{
    (void)q;
    return GNT_OK;
}

/* ---- The command */

static int ask_columns(struct queue *q, struct gnatter_amqp_value *out)
{
    int err = gnatter_amqp_builder_new(&q->builder);
    if (err)
        return EX_OSERR;
    gnatter_amqp_begin(q->builder, GNATTER_AMQP_MAP);
    gnatter_amqp_add(q->builder, gnatter_amqp_string("attributeNames"));
    gnatter_amqp_begin(q->builder, GNATTER_AMQP_LIST);
    for (size_t i = 0; !q->options->json && i < COLUMNS; i++)
        gnatter_amqp_add(q->builder, gnatter_amqp_string(columns[i].attribute));
    if (!q->options->json)
        gnatter_amqp_add(q->builder, gnatter_amqp_string(temporary));
    gnatter_amqp_end(q->builder);
    gnatter_amqp_end(q->builder);
    return gnatter_amqp_built(q->builder, out) ? EX_OSERR : EX_OK;
}

/* What `set` cannot do, with SETTINGS; NULL: nothing of that. */
static const char *set_mistake(char *const *settings)
{
    if (!settings[0])
        return "expected SETTING=VALUE behind the name";
    for (; *settings; settings++)
        if (strncmp(*settings, "bind=", 5) == 0)
            return "bind: only create and the broker's configuration give a queue its topic "
                   "filters";
    return NULL;
}

static const struct verb {
    const char *word, *operation;
    bool named, settings;
    gnt_err (*put)(struct queue *q);
    const char *(*mistake)(char *const *settings); /* NULL: whatever the settings are */
} verbs[] = {
    {"list", "QUERY", false, false, put_list, NULL},
    {"show", "READ", true, false, put_queue, NULL},
    {"create", "CREATE", true, true, put_nothing, NULL},
    {"set", "UPDATE", true, true, put_nothing, set_mistake},
    {"purge", "PURGE", true, false, put_purged, NULL},
    {"delete", "DELETE", true, false, put_nothing, NULL},
};

/* WORDS: what is behind the verb. */
static const struct verb *find_verb(const char *word, char *const *words)
{
    char shown[64];
    const struct verb *found = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].word, word) == 0)
            found = &verbs[i];
    if (!found)
        gnt_say(name, "expected list, show, create, set, purge or delete, got '%s'",
                gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
    else if (found->named && !words[0])
        gnt_say(name, "the name of a queue is missing, see --help");
    else if (words[0] && (!found->named || (!found->settings && words[1])))
        gnt_say(name, "unexpected word '%s', see --help",
                gnt_utf8_printable(gnt_slice_str(words[found->named]), shown, sizeof shown));
    else if (found->mistake && found->mistake(words + 1))
        gnt_say(name, "%s, see --help", found->mistake(words + 1));
    else
        return found;
    return NULL;
}

static int print(struct queue *q, gnt_err (*put)(struct queue *q))
{
    if (put(q)) {
        gnt_say(name, "%s", gnt_err_text(GNT_NOMEM));
        return EX_OSERR;
    }
    struct gnt_slice text = gnt_buf_slice(&q->text);
    return fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0 ? EX_OK
                                                                                       : EX_IOERR;
}

static int ask(struct queue *q, const struct verb *verb, char *const *words,
               const struct gnatter_amqp_value *body)
{
    int code = gnt_dial_open(&q->dial);
    if (code)
        return code;
    gnt_wait_impatient(); /* what is waited for is waited for by the library */
    code = request(q, verb->operation, verb->named ? words[0] : NULL, body);
    if (!code)
        code = print(q, verb->put);
    gnatter_amqp_delivery_free(q->delivery);
    (void)gnt_dial_close(&q->dial);
    return code;
}

static int run(const struct options *o, char *const *words)
{
    struct queue q = {.options = o};
    struct gnatter_amqp_value body = gnatter_amqp_null();
    const struct verb *verb = find_verb(words[0], words + 1);
    if (!verb || !gnt_dial_check(name, &o->dial))
        return EX_USAGE;
    int code = EX_OK;
    if (verb->settings)
        code = read_settings(&q, words + 2, &body);
    else if (!verb->named)
        code = ask_columns(&q, &body);
    q.dial = (struct gnt_dial){.command = name, .options = &o->dial, .once = true};
    if (!code)
        code = ask(&q, verb, words + 1, &body);
    gnatter_amqp_builder_free(q.builder);
    gnt_buf_fini(&q.text);
    return code;
}

int gnt_command_queue(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = run(&options, argv);
    gnt_options_fini(&arguments.table, &options);
    return code;
}
