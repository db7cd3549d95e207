/* gnatter/broker.h: the broker behind its public face. */
#include <gnatter/broker.h>

#include "base/log.h"
#include "broker/program.h"
#include "conf/yaml.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SAME_LEVEL(name, word) \
    _Static_assert((int)GNATTER_LOG_##name == (int)GNT_LOG_##name, "levels go through unchanged");
GNT_LOG_LEVELS(SAME_LEVEL)
#undef SAME_LEVEL
_Static_assert((int)GNATTER_LOG_TEXT == (int)GNT_LOG_TEXT &&
                   (int)GNATTER_LOG_JSON == (int)GNT_LOG_JSON,
               "formats go through unchanged");

struct gnatter_broker {
    struct gnt_broker *broker;
    struct gnt_program program;
    bool spent; /* started or stopped before */
};

/* ---- Log */

/* A library is quieter than a command. */
static void set_default_log(void)
{
    gnt_log_configure(GNT_LOG_WARNING, GNT_LOG_TEXT);
}

static void init_log(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_default_log);
}

static struct {
    gnatter_log_write *write;
    void *context;
} log_target;

static void log_line(void *context, enum gnt_log_level level, const char *line, size_t size)
{
    (void)context;
    log_target.write(log_target.context, (enum gnatter_log_level)level, line, size);
}

void gnatter_log(enum gnatter_log_level most_detailed, enum gnatter_log_format format,
                 gnatter_log_write *write, void *context)
{
    init_log();
    gnt_log_configure((enum gnt_log_level)most_detailed, (enum gnt_log_format)format);
    log_target.write = write;
    log_target.context = context;
    gnt_log_divert(write ? log_line : NULL, NULL);
}

/* ---- What is wrong, in words */

struct problem {
    char *text; /* ends with a zero byte */
    size_t cap;
};

static void put_words(const struct problem *p, const char *before, const char *words)
{
    size_t used = strlen(p->text);
    snprintf(p->text + used, p->cap - used, "%s%s", before, words);
}

/* ---- Options */

void gnatter_broker_options_init_size(struct gnatter_broker_options *options, size_t size)
{
    memset(options, 0, size);
    options->size = size;
}

/* A program that was built with an older header has fewer options: the others are as they are
 * unless set.  With a newer one it may have set something that is not known here. */
static gnt_err read_options(const struct gnatter_broker_options *given,
                            struct gnatter_broker_options *out)
{
    *out = (struct gnatter_broker_options){.size = 0};
    if (!given)
        return GNT_OK;
    if (!given->size) /* it was not initialised */
        return GNT_INVALID;
    memcpy(out, given, given->size < sizeof *out ? given->size : sizeof *out);
    return given->size > sizeof *out ? GNT_UNSUPPORTED : GNT_OK;
}

static gnt_err set(struct gnt_config *config, const char *path, const char *value,
                   const struct problem *problem)
{
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, path);
    struct gnt_why why;
    gnt_err err = gnt_option_set(row, config, gnt_slice_str(value), &why);
    if (err == GNT_INVALID || err == GNT_FULL) {
        put_words(problem, path, ": ");
        put_words(problem, "", why.text);
        err = GNT_INVALID;
    }
    return err;
}

static gnt_err set_listeners(struct gnt_config *config, const struct gnatter_broker_options *o,
                             const struct problem *problem)
{
    gnt_err err = GNT_OK;
    if (o->listener_count)
        gnt_option_list_clear(gnt_option_find(&gnt_config_table, "listeners"), config);
    for (size_t i = 0; i < o->listener_count && !err; i++)
        err = set(config, "listeners", o->listeners[i], problem);
    return err;
}

static gnt_err set_options(struct gnt_config *config, const struct gnatter_broker_options *o,
                           const struct problem *problem)
{
    gnt_err err = set_listeners(config, o, problem);
    if (!err && o->workers) {
        char number[16];
        snprintf(number, sizeof number, "%u", o->workers);
        err = set(config, "workers", number, problem);
    }
    if (!err && o->allow_anonymous)
        config->allow_anonymous = GNT_ANONYMOUS_YES;
    return err;
}

/* Where the program lets clients in, nobody else does so for want of a setting. */
static gnt_err leave_to_program(struct gnt_config *config, const struct gnatter_broker_options *o,
                                const struct problem *problem)
{
    if (o->authenticate && config->allow_anonymous == GNT_ANONYMOUS_LOOPBACK)
        config->allow_anonymous =
            gnt_config_on_loopback(config) ? GNT_ANONYMOUS_YES : GNT_ANONYMOUS_NO;
    if (!o->authorize || (!config->access.count && !gnt_config_access_file(config)))
        return GNT_OK;
    put_words(problem, "", "authorize, and access or access_file: one of them");
    return GNT_INVALID;
}

static gnt_err read_config(struct gnt_config *config, const struct gnatter_broker_options *o,
                           const struct problem *problem)
{
    struct gnt_diag diag;
    gnt_err err = GNT_OK;
    gnt_diag_init(&diag);
    if (o->config_file && o->config_text) {
        put_words(problem, "", "config_file and config_text: one of them at most");
        err = GNT_INVALID;
    } else if (o->config_file) {
        err = gnt_config_load(o->config_file, config, &diag);
    } else if (o->config_text) {
        err = gnt_yaml_parse(gnt_slice_str(o->config_text), "config_text", &gnt_config_table,
                             config, &diag);
    }
    for (size_t i = 0; i < diag.count; i++)
        put_words(problem, i ? "\n" : "", diag.lines[i]);
    gnt_diag_fini(&diag);
    return err;
}

/* ---- Life */

static gnt_err make(const struct gnatter_broker_options *o, const struct problem *problem,
                    gnatter_broker *b)
{
    struct gnt_config config;
    gnt_err err = gnt_config_init(&config);
    if (err)
        return err;
    err = read_config(&config, o, problem);
    if (!err)
        err = set_options(&config, o, problem);
    if (!err)
        err = leave_to_program(&config, o, problem);
    gnt_program_init(&b->program, o);
    if (!err)
        err = gnt_broker_new(&config, &b->program.broker, &b->broker, problem->text, problem->cap);
    gnt_config_fini(&config);
    return err;
}

int gnatter_broker_new(const struct gnatter_broker_options *options, gnatter_broker **out)
{
    init_log();
    struct gnatter_broker_options o;
    gnt_err err = read_options(options, &o);
    char nowhere[1];
    struct problem problem = {o.problem, o.problem_size};
    if (!o.problem || !o.problem_size)
        problem = (struct problem){nowhere, sizeof nowhere};
    *problem.text = '\0';

    gnatter_broker *broker = calloc(1, sizeof *broker);
    if (!err)
        err = broker ? make(&o, &problem, broker) : GNT_NOMEM;
    if (err && !*problem.text)
        put_words(&problem, "", gnt_err_text(err));
    if (err)
        free(broker);
    else
        *out = broker;
    return err;
}

int gnatter_broker_start(gnatter_broker *broker)
{
    if (broker->spent)
        return GNATTER_ESTATE;
    broker->spent = true;
    return gnt_broker_start(broker->broker);
}

void gnatter_broker_stop(gnatter_broker *broker)
{
    broker->spent = true;
    gnt_broker_stop(broker->broker);
}

void gnatter_broker_free(gnatter_broker *broker)
{
    if (!broker)
        return;
    struct gnt_broker *inside = broker->broker; /* callbacks may still publish, and are told no */
    gnt_broker_free(&inside);
    free(broker);
}

/* ---- While it lives */

const char *gnatter_broker_url(const gnatter_broker *broker, size_t index)
{
    return gnt_broker_listener(broker->broker, index);
}

int gnatter_broker_publish(gnatter_broker *broker, const char *topic, const void *payload,
                           size_t size, unsigned qos, bool retain)
{
    if (qos > 2)
        return GNATTER_EINVALID;
    const struct gnt_message_init init = {.topic = gnt_slice_str(topic),
                                          .payload = gnt_slice(payload, size),
                                          .qos = (uint8_t)qos,
                                          .retain = retain,
                                          .expires = GNT_NEVER};
    return gnt_broker_publish(broker->broker, &init);
}
