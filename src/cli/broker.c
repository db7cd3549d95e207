/* gnatter broker: the configuration applied, the broker run until a signal ends it. */
#include "broker/broker.h"
#include "base/buf.h"
#include "base/clock.h"
#include "broker/data.h"
#include "cli/command.h"
#include "cli/notify.h"
#include "cli/say.h"
#include "cli/wait.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static const char name[] = "broker";

enum { PROBLEM_MAX = 1024 };

static const char footer[] =
    "Examples:\n"
    "  gnatter broker\n"
    "  gnatter broker --data none                  keeps nothing when it ends\n"
    "  gnatter broker --config gnatter.yaml --log-level debug\n"
    "  gnatter broker --listen mqtt://127.0.0.1:0  any free port; the log says which\n"
    "  gnatter broker --listen mqtt://:1883 --allow-anonymous   for the whole network\n"
    "  gnatter broker --listen mqtt://:1883 --users users.txt   for those named there\n"
    "  gnatter broker --listen mqtts://:8883 --certificate pki/server.pem \\\n"
    "      --key pki/server.key --ca pki/ca.pem     for those with a certificate\n"
    "\n"
    "The configuration file is YAML with the same options, and more, as\n"
    "docs/configuration.md describes them.\n"
    "\n"
    "Signals: SIGINT and SIGTERM stop it, a second one at once; SIGHUP reads the\n"
    "configuration, the users, the access list and the certificates again, and a\n"
    "mistake leaves everything as it was.\n"
    "\n"
    "Exit codes: 0 it was stopped; else those of sysexits.h: 64 wrong usage, 65 a\n"
    "data directory that is damaged, 69 an address or a data directory that cannot\n"
    "be had, 71 the system refused something, 77 not permitted, 78 a mistake in the\n"
    "configuration.";

static int show_help(void)
{
    struct gnt_args args = gnt_config_arguments;
    args.footer = footer;
    return gnt_say_help(&args);
}

/* What an error of starting the broker comes to. */
static const struct {
    gnt_err err;
    int code;
} exits[] = {
    {GNT_INVALID, EX_CONFIG},       {GNT_UNSUPPORTED, EX_CONFIG},
    {GNT_NOMEM, EX_OSERR},          {GNT_IO, EX_OSERR},
    {GNT_DENIED, EX_NOPERM},        {GNT_EXISTS, EX_UNAVAILABLE},
    {GNT_RESOLVE, EX_UNAVAILABLE},  {GNT_BUSY, EX_UNAVAILABLE},
    {GNT_NOTFOUND, EX_UNAVAILABLE}, {GNT_MALFORMED, EX_DATAERR},
};

static int exit_code(gnt_err err)
{
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        if (exits[i].err == err)
            return exits[i].code;
    }
    return err == GNT_OK ? EX_OK : EX_UNAVAILABLE;
}

/* Whether the words themselves are wrong, rather than the file that they name. */
static bool is_usage(int argc, char **argv)
{
    struct gnt_config scratch;
    struct gnt_args_result result;
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    bool usage = false;
    if (gnt_config_init(&scratch) == GNT_OK) {
        usage = gnt_args_parse(&gnt_config_arguments, argc, argv, &scratch, &result, &diag) ==
                GNT_INVALID;
        gnt_config_fini(&scratch);
    }
    gnt_diag_fini(&diag);
    return usage;
}

/* Finds a data directory where none is named.  False: *code is what to exit with. */
static bool choose_data(struct gnt_config *config, int *code)
{
    char problem[PROBLEM_MAX];
    gnt_err err = gnt_data_choose(config, problem, sizeof problem);
    if (err)
        gnt_say(name, "%s", problem);
    *code = exit_code(err);
    return !err;
}

/* Reads the configuration.  False: *code is what to exit with. */
static bool read_config(int argc, char **argv, struct gnt_config *config, int *code)
{
    struct gnt_args_result result = {.words = argv};
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    gnt_err err = gnt_config_args(argc, argv, config, &result, &diag);
    gnt_say_mistakes(name, &diag);
    if (err == GNT_INVALID)
        *code = is_usage(argc, argv) ? EX_USAGE : EX_CONFIG;
    else if (err)
        *code = EX_OSERR;
    else if (result.help || result.version)
        *code = result.help ? show_help() : gnt_say_version();
    gnt_diag_fini(&diag);
    return !err && !result.help && !result.version && choose_data(config, code);
}

/* Who may connect, for the line that says all. */
static const char *access_text(const struct gnt_config *config)
{
    bool certified = true;
    for (size_t i = 0; i < config->listeners.count; i++)
        certified = certified && gnt_config_is_authenticated(config, &config->listeners.items[i]);
    if (certified)
        return "by certificate";
    if (!gnt_config_anonymous(config))
        return "users only";
    if (gnt_config_is_open(config))
        return "anonymous, any machine";
    return gnt_config_on_loopback(config) ? "anonymous, this machine only"
                                          : "anonymous on this machine, others by certificate";
}

static void put_listeners(const struct gnt_broker *broker, struct gnt_buf *out)
{
    const char *url;
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && (url = gnt_broker_listener(broker, i)) != NULL; i++)
        err = gnt_text_put(out, "%s%s", i ? " " : "", url);
}

/* The one line that says all: where it listens, how it runs, where the data is, who may come. */
static void log_ready(const struct gnt_broker *broker, const struct gnt_config *config)
{
    struct gnt_buf listeners = {NULL, 0, 0, 0};
    char window[GNT_DATA_LOSS_WINDOW_MAX];
    gnt_data_loss_window(gnt_config_data(config) != NULL, config->sync_ms, window);
    put_listeners(broker, &listeners);
    gnt_log(GNT_LOG_NOTICE, NULL, "ready", GNT_F_TEXT("listen", gnt_buf_slice(&listeners)),
            GNT_F_NUM("workers", gnt_broker_workers(broker)),
            GNT_F_STR("data", gnt_config_data(config) ? config->data : "none"),
            GNT_F_STR("loss_window", window), GNT_F_STR("access", access_text(config)),
            GNT_F_STR("version", GNATTER_VERSION));
    gnt_buf_fini(&listeners);
    gnt_notify("READY=1");
}

static void log_change(const struct gnt_option *row, const struct gnt_config *from,
                       const struct gnt_config *to)
{
    bool restart = gnt_option_needs_restart(row, from, to);
    struct gnt_buf before = {NULL, 0, 0, 0}, after = {NULL, 0, 0, 0};
    if (gnt_option_text(row, from, &before) == GNT_OK && gnt_option_text(row, to, &after) == GNT_OK)
        gnt_log(restart ? GNT_LOG_WARNING : GNT_LOG_NOTICE, NULL, "setting",
                GNT_F_STR("name", row->path), GNT_F_TEXT("from", gnt_buf_slice(&before)),
                GNT_F_TEXT("to", gnt_buf_slice(&after)),
                GNT_F_STR("from_when", restart ? "the next start" : "now"));
    gnt_buf_fini(&before);
    gnt_buf_fini(&after);
}

static size_t log_changes(const struct gnt_config *from, const struct gnt_config *to)
{
    const struct gnt_option *changed[GNT_OPTION_ROWS];
    size_t count = gnt_config_diff(from, to, changed, GNT_OPTION_ROWS);
    for (size_t i = 0; i < count; i++)
        log_change(changed[i], from, to);
    return count;
}

/* Takes over what FRESH says.  False: the broker has kept its settings, and so does *config. */
static bool apply(struct gnt_broker *broker, struct gnt_config *config, struct gnt_config *fresh)
{
    gnt_err err = gnt_broker_reload(broker, fresh);
    if (err && err != GNT_INVALID) /* that has been told, with what is wrong */
        gnt_log(GNT_LOG_ERROR, NULL, "reload-failed", GNT_F_ERR(err),
                GNT_F_STR("settings", "as before"));
    if (err)
        return false;
    size_t count = log_changes(config, fresh);
    gnt_log(GNT_LOG_NOTICE, NULL, "reload", GNT_F_NUM("changes", count));
    gnt_log_configure(fresh->log_level, fresh->log_format);
    gnt_config_fini(config);
    *config = *fresh;
    return true;
}

/* SIGHUP: the same words and file once more. */
static void reload(struct gnt_broker *broker, int argc, char **argv, struct gnt_config *config)
{
    char state[64];
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)(gnt_now(&gnt_clock_system) / GNT_NS_PER_US));
    gnt_notify(state);

    struct gnt_config fresh = {0};
    struct gnt_args_result result;
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    gnt_err err = gnt_config_args(argc, argv, &fresh, &result, &diag);
    if (!err) {
        char problem[PROBLEM_MAX];
        err = gnt_data_choose(&fresh, problem, sizeof problem);
    }
    for (size_t i = 0; i < diag.count; i++)
        gnt_log(GNT_LOG_ERROR, NULL, "reload-mistake", GNT_F_STR("text", diag.lines[i]));
    gnt_diag_fini(&diag);
    if (err)
        gnt_log(GNT_LOG_ERROR, NULL, "reload-failed", GNT_F_ERR(err),
                GNT_F_STR("settings", "as before"));
    else if (!apply(broker, config, &fresh))
        gnt_config_fini(&fresh);
    gnt_notify("READY=1");
}

static void serve(struct gnt_broker *broker, struct gnt_wait *wait, int argc, char **argv,
                  struct gnt_config *config)
{
    int number = 0;
    for (;;) {
        enum gnt_wait_reason reason = gnt_wait(wait, GNT_NEVER, -1, 0, &number);
        if (reason == GNT_WAIT_SIGNAL && number != SIGHUP)
            break;
        if (reason == GNT_WAIT_SIGNAL)
            reload(broker, argc, argv, config);
    }
    gnt_wait_impatient();
    gnt_notify("STOPPING=1");
    gnt_log(GNT_LOG_NOTICE, NULL, "stop", GNT_F_STR("signal", sigabbrev_np(number)));
    gnt_broker_stop(broker);
}

static int run(struct gnt_wait *wait, int argc, char **argv, struct gnt_config *config)
{
    struct gnt_broker *broker = NULL;
    char problem[PROBLEM_MAX] = "";
    gnt_log_configure(config->log_level, config->log_format);
    gnt_err err = gnt_broker_new(config, NULL, &broker, problem, sizeof problem);
    if (!err)
        err = gnt_broker_start(broker);
    if (!err) {
        log_ready(broker, config);
        serve(broker, wait, argc, argv, config);
    } else {
        gnt_say(name, "%s", problem[0] ? problem : gnt_err_text(err));
    }
    gnt_broker_free(&broker);
    return exit_code(err);
}

int gnt_command_broker(int argc, char **argv)
{
    struct gnt_config config = {0};
    struct gnt_wait wait;
    int code = EX_OK;
    if (!read_config(argc, argv, &config, &code))
        return code;
    gnt_err err = gnt_wait_init(&wait);
    if (err) {
        gnt_say(name, "%s", gnt_err_text(err));
        gnt_config_fini(&config);
        return EX_OSERR;
    }
    code = run(&wait, argc, argv, &config);
    gnt_wait_fini(&wait);
    gnt_config_fini(&config);
    return code;
}
