#include "conf/config.h"
#include "conf/access_rules.h"
#include "conf/limits.h"
#include "conf/listeners.h"
#include "conf/queues.h"
#include "conf/setting.h"

#define FIELD(member) GNT_OPTION_FIELD(struct gnt_config, member)

/* What a client may make of it is its own matter [MQTT5 4.11]; what it is told is readable. */
static gnt_err check_reference(const char *text, struct gnt_why *why)
{
    bool within = false, any = false;
    for (const char *at = text; *at; at++) {
        if (*at < ' ' || *at > '~' || (*at == ' ' && !within)) {
            gnt_why_set(why, "expected servers such as 'b.example:1883', with one space between");
            return GNT_INVALID;
        }
        within = *at != ' ';
        any = any || within;
    }
    if (any && within)
        return GNT_OK;
    gnt_why_set(why, "expected a server such as 'b.example:1883'");
    return GNT_INVALID;
}

static const struct gnt_option_word auto_workers[] = {{"auto", 0}, {NULL, 0}};

static const struct gnt_option_word each_commit[] = {{"commit", 0}, {NULL, 0}};

static const struct gnt_option_word anonymous[] = {
    {"loopback", GNT_ANONYMOUS_LOOPBACK},
    {"true", GNT_ANONYMOUS_YES},
    {"yes", GNT_ANONYMOUS_YES},
    {"on", GNT_ANONYMOUS_YES},
    {"false", GNT_ANONYMOUS_NO},
    {"no", GNT_ANONYMOUS_NO},
    {"off", GNT_ANONYMOUS_NO},
    {NULL, 0},
};

static const struct gnt_option_word auto_create[] = {
    {"auto", GNT_CONFIG_AUTO_CREATE_UNDECLARED}, {"true", GNT_CONFIG_AUTO_CREATE_YES},
    {"yes", GNT_CONFIG_AUTO_CREATE_YES},         {"on", GNT_CONFIG_AUTO_CREATE_YES},
    {"false", GNT_CONFIG_AUTO_CREATE_NO},        {"no", GNT_CONFIG_AUTO_CREATE_NO},
    {"off", GNT_CONFIG_AUTO_CREATE_NO},          {NULL, 0},
};

static const struct gnt_option_word log_levels[] = {
#define LEVEL(name, word) {word, GNT_LOG_##name},
    GNT_LOG_LEVELS(LEVEL)
#undef LEVEL
        {NULL, 0},
};

static const struct gnt_option_word log_formats[] = {{"text", GNT_LOG_TEXT},
                                                     {"json", GNT_LOG_JSON},
                                                     {NULL, 0}};

static const struct gnt_option_word queue_full[] = {
    {"drop_newest", GNT_QUEUE_FULL_DROP_NEWEST},
    {"drop_oldest", GNT_QUEUE_FULL_DROP_OLDEST},
    {"disconnect", GNT_QUEUE_FULL_DISCONNECT},
    {NULL, 0},
};

static const struct gnt_option_word queue_full_qos0[] = {{"drop", GNT_QOS0_DROP},
                                                         {"wait", GNT_QOS0_WAIT},
                                                         {NULL, 0}};

const struct gnt_option_word gnt_limits_unlimited[] = {{"unlimited", GNT_CONFIG_EXPIRY_UNLIMITED},
                                                       {NULL, 0}};

static const struct gnt_option_word no_delay[] = {{"off", UINT32_MAX}, {NULL, 0}};

static const struct gnt_option_word no_block[] = {{"off", 0}, {NULL, 0}};

static const struct gnt_option_word moved_clients[] = {{"all", GNT_MOVED_ALL},
                                                       {"surplus", GNT_MOVED_SURPLUS},
                                                       {NULL, 0}};

static const struct gnt_option rows[] = {
    {.flag = "config",
     .letter = 'c',
     .kind = GNT_OPTION_STRING,
     FIELD(file),
     .metavar = "FILE",
     .min = 1,
     .help = "Reads this YAML file first; the command line overrides what it says."},
    {.path = "listeners",
     .flag = "listen",
     .kind = GNT_OPTION_MAPS,
     FIELD(listeners),
     .items = &gnt_listener_table,
     .fallback = "mqtt://127.0.0.1:1883",
     .min = 1,
     .max = 64,
     .restart = true,
     .metavar = "URL",
     .help = "Listens there, such as mqtt://127.0.0.1:1883, mqtt://:1883 for all addresses, "
             "mqtts://:8883 for TLS, amqp://127.0.0.1:5672 and amqps://:5671 for AMQP 1.0, or "
             "http://127.0.0.1:8080 and https://:8443 for WebSockets (ws://127.0.0.1:8080/mqtt, "
             "or /amqp). Can be given several times; naming any replaces the default. Without "
             "--config and this, the command listens on amqp://127.0.0.1:5672 and "
             "http://127.0.0.1:8080, too, where that is free."},
    {.path = "data",
     .flag = "data",
     .kind = GNT_OPTION_STRING,
     FIELD(data),
     .min = 1,
     .restart = true,
     .metavar = "DIR",
     .help =
         "The directory that keeps sessions and messages over a restart; none keeps them in "
         "memory only. Unless this says where: /var/lib/gnatter for root; for others gnatter in "
         "$XDG_STATE_HOME, or in ~/.local/state."},
    {.path = "sync",
     .flag = "sync",
     .kind = GNT_OPTION_DURATION,
     FIELD(sync_ms),
     .fallback = "commit",
     .min = 1,
     .max = 60000,
     .words = each_commit,
     .restart = true,
     .metavar = "WHEN",
     .help = "When what is kept in the data directory is safe from a power cut. commit: before it "
             "is acknowledged. A time, such as 200ms: so much later at most, and what was "
             "acknowledged in that time may be lost with the power; nothing is when the broker "
             "alone ends, however it ends."},
    {.path = "workers",
     .flag = "workers",
     .kind = GNT_OPTION_INTEGER,
     FIELD(workers),
     .fallback = "auto",
     .min = 1,
     .max = GNT_CONFIG_MAX_WORKERS,
     .words = auto_workers,
     .unit = "threads",
     .restart = true,
     .metavar = "N",
     .help = "How many threads serve connections; auto is one per core."},
    {.path = "users",
     .flag = "users",
     .kind = GNT_OPTION_STRING,
     FIELD(users),
     .fallback = "none",
     .min = 1,
     .restart = true,
     .metavar = "FILE",
     .help = "The file of users and their passwords, which gnatter passwd writes. With it clients "
             "log in by user name and password or, in MQTT 5 and AMQP, by SCRAM. SIGHUP reads it "
             "again; with none nobody can log in."},
    {.path = "allow_anonymous",
     .flag = "allow-anonymous",
     .kind = GNT_OPTION_WORD,
     FIELD(allow_anonymous),
     .fallback = "loopback",
     .words = anonymous,
     .implied = "true",
     .restart = true,
     .metavar = "WHO",
     .help = "Whether clients may connect without a user name: true, false, or loopback, which "
             "allows it only where every listener is on a loopback address, and has no proxies. "
             "Others are refused unless this is set in words, or there are users."},
    {.path = "access",
     .kind = GNT_OPTION_MAPS,
     FIELD(access),
     .items = &gnt_config_rule_table,
     .min = 1,
     .max = GNT_CONFIG_RULES_MAX,
     .help = "Rules that say who may publish and subscribe to what, as docs/access.md describes "
             "them. With any, what no rule permits is refused; without them, and without "
             "access_file, whoever is let in may do everything. SIGHUP reads them again."},
    {.path = "access_file",
     .flag = "access-file",
     .kind = GNT_OPTION_STRING,
     FIELD(access_file),
     .fallback = "none",
     .min = 1,
     .metavar = "FILE",
     .help = "The same as mosquitto has it in its acl_file, which is read as it is. The rules of "
             "access come first. SIGHUP reads it again; a mistake in it changes nothing then, and "
             "a broker does not start with one."},
    {.path = "entities.queues",
     .kind = GNT_OPTION_MAPS,
     FIELD(queues),
     .items = &gnt_config_queue_table,
     .min = 1,
     .max = 65536,
     .help = "Queues that are to be there, and their options. A queue that is there already gets "
             "these options; one that is not named any more stays, with its messages."},
    {.path = "entities.auto_create",
     .kind = GNT_OPTION_WORD,
     FIELD(auto_create),
     .fallback = "auto",
     .words = auto_create,
     .help = "Whether a name that AMQP clients send to or receive from becomes a queue, if there "
             "is none; auto: where entities.queues names none."},
    {.path = "queue_full",
     .flag = "queue-full",
     .kind = GNT_OPTION_WORD,
     FIELD(queue_full),
     .fallback = "drop_newest",
     .words = queue_full,
     .metavar = "POLICY",
     .help = "What happens to a message for a session whose queue is full: drop_newest drops it, "
             "drop_oldest drops the one that waited longest, disconnect closes the connection of "
             "the receiver. While the receiver is connected, publishers of QoS 1 and 2 first wait "
             "for it, as queue_full_wait says."},
    {.path = "queue_full_wait",
     .flag = "queue-full-wait",
     .kind = GNT_OPTION_DURATION,
     FIELD(queue_full_wait_ms),
     .fallback = "10s",
     .max = 3600000,
     .metavar = "TIME",
     .help = "How long the acknowledgement of a message is withheld while the queue of a connected "
             "receiver is full, before queue_full applies; 0 is not at all. A receiver that let it "
             "come to that is not waited for again until half of its queue is empty."},
    {.path = "queue_full_qos0",
     .flag = "queue-full-qos0",
     .kind = GNT_OPTION_WORD,
     FIELD(queue_full_qos0),
     .fallback = "drop",
     .words = queue_full_qos0,
     .metavar = "WHAT",
     .help = "What happens to QoS 0 messages for a connected receiver whose queue is full: drop "
             "applies queue_full at once, wait reads no more from their publishers, for "
             "queue_full_wait at most, until there is room."},
    {.path = "sys_interval",
     .flag = "sys-interval",
     .kind = GNT_OPTION_DURATION,
     FIELD(sys_interval_ms),
     .fallback = "10s",
     .max = 86400000,
     .metavar = "TIME",
     .help = "How often the $SYS topics are published; 0 is never."},
    {.path = "sys_ledgers",
     .kind = GNT_OPTION_BOOL,
     FIELD(sys_ledgers),
     .fallback = "false",
     .help = "Whether $SYS/broker/ledger tells what became of the messages of each session and "
             "each shared group, too, and not only of all together."},
    {.path = "tell_dropped",
     .kind = GNT_OPTION_BOOL,
     FIELD(tell_dropped),
     .fallback = "false",
     .help = "Whether CONNACK tells an MQTT 5 client whose session goes on how many of its "
             "messages have been dropped, and why, as user properties such as dropped/queue_full."},

#define ROW(path_, flag_, kind_, member_, words_, check_, fallback_, metavar_, help_) \
    {.path = (path_),                                                                 \
     .flag = (flag_),                                                                 \
     .kind = GNT_OPTION_##kind_,                                                      \
     FIELD(tls.member_),                                                              \
     .words = (words_),                                                               \
     .check = (check_),                                                               \
     .fallback = (fallback_),                                                         \
     .group = "TLS, for mqtts, amqps and https listeners",                            \
     .metavar = (metavar_),                                                           \
     .help = (help_)},
    GNT_TLS_ROWS(ROW)
#undef ROW

        {.path = "log.level",
         .flag = "log-level",
         .kind = GNT_OPTION_WORD,
         FIELD(log_level),
         .fallback = "info",
         .words = log_levels,
         .group = "Log",
         .metavar = "LEVEL",
         .help = "The most detailed lines to write: error, warn, notice, info or debug."},
    {.path = "log.format",
     .flag = "log-format",
     .kind = GNT_OPTION_WORD,
     FIELD(log_format),
     .fallback = "text",
     .words = log_formats,
     .group = "Log",
     .metavar = "FORMAT",
     .help = "How lines are written to stderr: text for people, json for machines."},

    {.flag = "set",
     .kind = GNT_OPTION_TAKE,
     .take = gnt_setting_take,
     .group = "Any other option",
     .metavar = "OPTION=VALUE",
     .help = "Sets any option of the configuration file by its name, such as "
             "limits.packet=1MiB. Can be given several times."},

#define ROW(path_, kind_, member_, ...) \
    {.path = "limits." path_, .kind = GNT_OPTION_##kind_, FIELD(limits.member_), __VA_ARGS__},
    GNT_LIMITS_ROWS(ROW)
#undef ROW

        {.path = "guessing.delay_after",
         .kind = GNT_OPTION_INTEGER,
         FIELD(guessing.delay_after),
         .fallback = "5",
         .max = 1000000,
         .words = no_delay,
         .unit = "failures",
         .help =
             "How many failed logins of one address within guessing.window are answered at once; "
             "the answers to further ones are held back. An IPv6 address counts with its network "
             "of 64 bits; Unix sockets have no limits here."},
    {.path = "guessing.delay",
     .kind = GNT_OPTION_DURATION,
     FIELD(guessing.delay_ms),
     .fallback = "1s",
     .max = 60000,
     .help = "For how long the first of those answers is held back; each one after it for twice as "
             "long as the one before."},
    {.path = "guessing.delay_max",
     .kind = GNT_OPTION_DURATION,
     FIELD(guessing.delay_max_ms),
     .fallback = "8s",
     .max = 60000,
     .help = "For how long an answer is held back at most."},
    {.path = "guessing.block_after",
     .kind = GNT_OPTION_INTEGER,
     FIELD(guessing.block_after),
     .fallback = "20",
     .min = 1,
     .max = 1000000,
     .words = no_block,
     .unit = "failures",
     .help = "How many failed logins within guessing.window get an address blocked: its "
             "connections are closed as they come. Loopback addresses never are. With off, none "
             "is, and those that are blocked are let in again."},
    {.path = "guessing.block",
     .kind = GNT_OPTION_DURATION,
     FIELD(guessing.block_ms),
     .fallback = "5m",
     .min = 100,
     .max = 86400000,
     .help = "For how long."},
    {.path = "guessing.window",
     .kind = GNT_OPTION_DURATION,
     FIELD(guessing.window_ms),
     .fallback = "1m",
     .min = 100,
     .max = 86400000,
     .help = "For how long failed logins are counted, from the first one on."},

    {.path = "moved.to",
     .kind = GNT_OPTION_STRING,
     FIELD(moved.to),
     .fallback = "none",
     .min = 1,
     .max = GNT_CONFIG_REFERENCE_MAX,
     .check = check_reference,
     .metavar = "HOST:PORT",
     .help = "Another server for clients, or several with a space between them; none sends nobody "
             "anywhere. MQTT 5 clients are told; others are refused as by a server that is not "
             "available."},
    {.path = "moved.clients",
     .kind = GNT_OPTION_WORD,
     FIELD(moved.clients),
     .fallback = "all",
     .words = moved_clients,
     .help = "Who is sent to moved.to: all of them, those that are connected when a reload says so "
             "too; or the surplus, for which limits.connections leaves no room."},
    {.path = "moved.permanent",
     .kind = GNT_OPTION_BOOL,
     FIELD(moved.permanent),
     .fallback = "false",
     .help = "Whether all are sent there for good (MQTT 5: Server moved) rather than for now (Use "
             "another server)."},
};

const struct gnt_option_table gnt_config_table = GNT_OPTION_TABLE(struct gnt_config, rows);

const struct gnt_args gnt_config_arguments = {
    .usage = "gnatter broker [OPTION]...",
    .about = "Runs the broker until it is interrupted. Without options it listens for MQTT on "
             "127.0.0.1, port 1883, for AMQP 1.0 on port 5672, and for WebSockets on port 8080, "
             "for anybody on this machine, and keeps what has to last in the data directory that "
             "--data describes.",
    .footer = "The configuration file is YAML with the same options, and more, as\n"
              "docs/configuration.md describes them.",
    .table = GNT_OPTION_TABLE(struct gnt_config, rows),
};
