/* gnatter thermometer: reads a sensor and publishes what it says. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/number.h"
#include "cli/peer.h"
#include "cli/reading.h"
#include "cli/say.h"
#include "model/topic.h"
#include "sensor/tmp102.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

static const char name[] = "thermometer";

enum {
    HYSTERESIS_MILLI = 1000,
    EXTENDED_MILLI = 127937,       /* beyond it a TMP102 needs 13 bits [TMP102 6.5.2] */
    TOPIC_MAX = GNT_TOPIC_MAX - 6, /* with "/alert" behind it */
    QUEUE_MESSAGES = 10000,
};

struct options {
    struct gnt_peer_options peer;
    char *sensor, *topic;
    uint64_t interval_ms;
    struct gnt_number_celsius above, below;
    uint8_t qos;
    bool retain, print;
    uint32_t count;
};

static gnt_err check_topic(const char *text, struct gnt_why *why)
{
    if (gnt_topic_name_valid(gnt_slice_str(text), 0))
        return GNT_OK;
    gnt_why_set(why, "expected a topic name such as /pi2mqtt/temp: UTF-8 without + and #");
    return GNT_INVALID;
}

#define FIELD(member) GNT_OPTION_FIELD(struct options, member)

static const struct gnt_option rows[] = {
    {.flag = "sensor",
     .kind = GNT_OPTION_STRING,
     FIELD(sensor),
     .max = GNT_SENSOR_SPEC_MAX - 1,
     .metavar = "SENSOR",
     .group = "What to measure",
     .help = "tmp102:/dev/i2c-1@0x48: a TMP102 on an I2C bus. hwmon:NAME: the first temperature "
             "of a chip that the kernel's hwmon knows by this name, hwmon:NAME/2 its second. "
             "thermal:N: the kernel's thermal zone N. sim: a made-up room."},
    {.flag = "interval",
     .kind = GNT_OPTION_DURATION,
     FIELD(interval_ms),
     .fallback = "5s",
     .min = 10,
     .max = UINT64_C(7) * 24 * 3600 * 1000,
     .metavar = "TIME",
     .group = "What to measure",
     .help = "From one reading to the next: 500ms, 5s, 1m."},
    {.flag = "count",
     .letter = 'C',
     .kind = GNT_OPTION_INTEGER,
     FIELD(count),
     .min = 1,
     .max = UINT32_MAX,
     .metavar = "N",
     .group = "What to measure",
     .help = "Ends after N readings, when the broker has them."},
    {.flag = "alert-above",
     .kind = GNT_OPTION_TAKE,
     FIELD(above),
     .metavar = "C",
     .take = gnt_number_take_celsius,
     .group = "Alert",
     .help = "Too warm at or above so many degrees Celsius. Readings say so in their member "
             "\"alert\", and each change is published, retained, to TOPIC/alert."},
    {.flag = "alert-until",
     .kind = GNT_OPTION_TAKE,
     FIELD(below),
     .metavar = "C",
     .take = gnt_number_take_celsius,
     .group = "Alert",
     .help = "The alert lasts until it is colder than this; without it, one degree less than "
             "--alert-above. A TMP102 gets both as its limits, so that its ALERT pin goes along."},
    {.flag = "topic",
     .letter = 't',
     .kind = GNT_OPTION_STRING,
     FIELD(topic),
     .fallback = "/pi2mqtt/temp",
     .max = TOPIC_MAX,
     .metavar = "TOPIC",
     .check = check_topic,
     .group = "Publishing",
     .help = "Publishes to this topic."},
    {.flag = "qos",
     .letter = 'q',
     .kind = GNT_OPTION_INTEGER,
     FIELD(qos),
     .fallback = "1",
     .max = 2,
     .metavar = "QOS",
     .group = "Publishing",
     .help = "0 at most once, 1 at least once, 2 exactly once."},
    {.flag = "retain",
     .letter = 'r',
     .kind = GNT_OPTION_BOOL,
     FIELD(retain),
     .group = "Publishing",
     .help = "The broker keeps the last reading for later subscribers."},
    {.flag = "print",
     .kind = GNT_OPTION_BOOL,
     FIELD(print),
     .group = "Publishing",
     .help = "Prints the readings instead of publishing them; no broker is needed."},
    GNT_PEER_ROWS(struct options),
    GNT_PEER_WILL_ROWS(struct options),
};

static const struct gnt_args arguments = {
    .usage = "gnatter thermometer --sensor SENSOR [OPTION]...",
    .about = "Reads a temperature again and again and publishes it as JSON:\n"
             "{\"value\":21.375,\"unit\":\"C\",\"time\":\"2026-11-22T10:00:00.123Z\","
             "\"sensor\":\"sim\"}\n"
             "A sensor that disappears is told once and tried again at every interval; nothing is "
             "published meanwhile. A broker that is away is waited for: the last 10,000 messages "
             "are kept for it.",
    .footer = "Examples:\n"
              "  gnatter thermometer --sensor sim --interval 1s --print\n"
              "  gnatter thermometer --sensor tmp102:/dev/i2c-1@0x48 --alert-above 28\n"
              "  gnatter thermometer --sensor thermal:0 -h gateway -t pi/cpu -r\n"
              "  gnatter sub -t /pi2mqtt/temp -v             shows what it publishes\n"
              "\n"
              "Exit codes: 0 it was interrupted, or has made all its readings; the code of the\n"
              "broker's CONNACK if it refuses the connection for good (1 to 5, in MQTT 5 128\n"
              "and more); else those of sysexits.h, such as 64 wrong usage, 77 one side\n"
              "refuses the other's certificate, 78 files of TLS that cannot be used.",
    .table = GNT_OPTION_TABLE(struct options, rows),
};

struct thermometer {
    struct gnt_peer peer;
    const struct options *options;
    struct gnt_sensor *sensor;
    struct gnt_alert alert;
    struct gnt_buf line;
    bool gone;        /* the sensor is, and it has been told */
    bool failed;      /* so is that readings are not accepted */
    atomic_bool full; /* readings have been let go since the broker was away; told */
    uint64_t asked;
    atomic_uint_least64_t settled; /* by the client's thread */
};

/* ---- publishing */

static void on_done(gnatter_client *c, const struct gnatter_result *result, void *context)
{
    struct thermometer *t = context;
    char text[128];
    (void)c;
    if (result->error == 0)
        atomic_store(&t->full, false);
    else if (result->error != GNATTER_ECLOSED && !atomic_exchange(&t->full, true))
        gnt_run_say(&t->peer.run, "readings are lost: %s",
                    result->error == GNATTER_EFULL
                        ? "the broker is away for so long that the oldest ones have to go"
                        : gnt_peer_result_text(result, text, sizeof text));
    atomic_fetch_add(&t->settled, 1);
    gnt_wait_wake(&t->peer.run.wait);
}

/* The line to the topic with SUFFIX behind it. */
static void publish(struct thermometer *t, const char *suffix, bool retain)
{
    char topic[GNT_TOPIC_MAX + 1];
    (void)snprintf(topic, sizeof topic, "%s%s", t->options->topic, suffix);
    struct gnt_slice line = gnt_buf_slice(&t->line);
    const struct gnatter_message message = {.topic = topic,
                                            .payload = line.data,
                                            .payload_size = line.size,
                                            .qos = t->options->qos,
                                            .retain = retain};
    int err = gnatter_client_publish(t->peer.client, &message, on_done, t, NULL);
    if (!err)
        t->asked++;
    else if (!t->failed)
        gnt_run_say(&t->peer.run, "a reading is not published: %s", gnatter_error_text(err));
    t->failed = err != 0;
}

static void print(struct thermometer *t)
{
    struct gnt_slice line = gnt_buf_slice(&t->line);
    if (fwrite(line.data, 1, line.size, stdout) == line.size && putchar('\n') != EOF &&
        fflush(stdout) == 0)
        return;
    if (errno != EPIPE)
        gnt_say(name, "cannot write the output: %s", strerror(errno));
    gnt_run_end(&t->peer.run, errno == EPIPE ? EX_OK : EX_IOERR);
}

static void tell(struct thermometer *t, const struct gnt_reading *reading)
{
    bool changed = gnt_alert_update(&t->alert, reading->milli);
    gnt_buf_clear(&t->line);
    gnt_err err = gnt_reading_json(reading, t->sensor->name, gnt_wall_ms(&gnt_clock_system),
                                   &t->alert, &t->line);
    if (err) {
        gnt_say(name, "a reading is lost: %s", gnt_err_text(err));
    } else if (t->options->print) {
        print(t);
    } else {
        publish(t, "", t->options->retain);
        if (changed && t->alert.limited)
            publish(t, "/alert", true);
    }
}

/* ---- measuring */

static bool pause_until(struct thermometer *t, uint64_t until)
{
    bool ready;
    while (gnt_now(&gnt_clock_system) < until) {
        if (!gnt_run_wait(&t->peer.run, until, -1, 0, &ready))
            return false;
    }
    return true;
}

/* A reading; GNT_MORE: the command is to end before it is there. */
static gnt_err measure(struct thermometer *t, struct gnt_reading *out)
{
    for (;;) {
        gnt_err err = gnt_sensor_read(t->sensor, gnt_now(&gnt_clock_system), out);
        if (err != GNT_MORE || !pause_until(t, t->sensor->ready_ns))
            return err;
    }
}

/* Told once when it goes, once when it is back. */
static void note_sensor(struct thermometer *t, gnt_err err)
{
    bool gone = err < 0;
    if (gone && !t->gone)
        gnt_say(name, "%s: %s. Trying again at every interval.", t->sensor->name,
                t->sensor->problem);
    else if (!gone && t->gone)
        gnt_say(name, "%s: the sensor is back", t->sensor->name);
    t->gone = gone;
}

/* The next reading's time; those that were missed are left out. */
static uint64_t next_time(uint64_t last, uint64_t interval_ms)
{
    uint64_t now = gnt_now(&gnt_clock_system), span = interval_ms * GNT_NS_PER_MS;
    return now - last < span ? last + span : now - (now - last) % span + span;
}

static void run_readings(struct thermometer *t)
{
    const struct options *o = t->options;
    uint64_t at = gnt_now(&gnt_clock_system);
    for (uint32_t made = 0; pause_until(t, at); at = next_time(at, o->interval_ms)) {
        struct gnt_reading reading;
        gnt_err err = measure(t, &reading);
        if (err == GNT_MORE)
            return;
        note_sensor(t, err);
        if (err == GNT_OK)
            tell(t, &reading);
        if (err == GNT_OK && ++made == o->count)
            return;
    }
}

/* With --count the last readings are delivered before it ends. */
static void settle(struct thermometer *t)
{
    bool ready;
    while (atomic_load(&t->settled) < t->asked) {
        if (!gnt_run_wait(&t->peer.run, GNT_NEVER, -1, 0, &ready))
            return;
    }
}

/* ---- the command */

static struct gnt_alert alert_of(const struct options *o)
{
    int32_t low = o->below.given ? o->below.milli : o->above.milli - HYSTERESIS_MILLI;
    return (struct gnt_alert){.limited = o->above.given,
                              .high_milli = o->above.milli,
                              .low_milli = low};
}

/* What a TMP102 is told: to measure as often as it is asked, and when its ALERT pin is to say so.
 * Neither rate is the power-up one, so that a chip that was reset shows itself. */
static struct gnt_tmp102_config tmp102_of(const struct options *o, const struct gnt_alert *alert)
{
    struct gnt_tmp102_config config = gnt_tmp102_power_up;
    config.rate = o->interval_ms < 1000 ? GNT_TMP102_8_HZ : GNT_TMP102_1_HZ;
    if (alert->limited) {
        config.high_milli = alert->high_milli;
        config.low_milli = alert->low_milli;
        config.extended = alert->high_milli > EXTENDED_MILLI;
    }
    return config;
}

static int open_sensor(struct thermometer *t)
{
    const struct gnt_tmp102_config tmp102 = tmp102_of(t->options, &t->alert);
    const struct gnt_sensor_options options = {.tmp102 = &tmp102, .absent_ok = true};
    char text[GNT_SENSOR_PROBLEM_MAX];
    gnt_err err = gnt_sensor_open(t->options->sensor, &options, gnt_now(&gnt_clock_system),
                                  &t->sensor, text, sizeof text);
    if (err)
        gnt_say(name, "%s", text);
    return err == GNT_OK ? EX_OK : err == GNT_INVALID ? EX_USAGE : EX_UNAVAILABLE;
}

/* What waits for the broker is bounded, and new readings are worth more than old ones. */
static void adjust(struct gnatter_client_options *options)
{
    options->mqtt.queue_messages = QUEUE_MESSAGES;
    options->mqtt.drop_oldest = true;
}

static bool check(const struct options *o)
{
    if (!o->sensor)
        gnt_say(name, "a sensor is missing: --sensor %s", gnt_sensor_forms());
    else if (o->below.given && !o->above.given)
        gnt_say(name, "--alert-until needs --alert-above");
    else if (o->below.given && o->below.milli > o->above.milli)
        gnt_say(name, "--alert-until is above --alert-above");
    else
        return gnt_peer_check(name, &o->peer, NULL);
    return false;
}

static int run(struct thermometer *t)
{
    int code = open_sensor(t);
    if (!code)
        code = gnt_peer_open(&t->peer);
    if (code)
        return code;
    if (!t->options->print)
        code = gnt_peer_start(&t->peer);
    if (code) {
        gnt_run_end(&t->peer.run, code);
    } else {
        run_readings(t);
        settle(t);
    }
    return gnt_peer_close(&t->peer);
}

int gnt_command_thermometer(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    struct thermometer t = {.options = &options, .alert = alert_of(&options)};
    t.peer = (struct gnt_peer){
        .command = name, .options = &options.peer, .patient = true, .adjust = adjust};
    code = check(&options) ? run(&t) : EX_USAGE;
    gnt_sensor_close(&t.sensor);
    gnt_buf_fini(&t.line);
    gnt_options_fini(&arguments.table, &options);
    return code;
}
