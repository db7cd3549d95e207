#include "conf/config.h"
#include "base/utf8.h"
#include "conf/access_rules.h"
#include "conf/listeners.h"
#include "conf/reference.h"
#include "conf/yaml.h"

#include <stdlib.h>

#define FIELD(member) GNT_OPTION_FIELD(struct gnt_config, member)

/* MQTT's largest remaining length [MQTT5 1.5.5]; a macro, as it stands in texts too. */
#define MAX_PACKET      268435455
#define AS_TEXT_(value) #value
#define AS_TEXT(value)  AS_TEXT_(value)

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

static int take_setting(const struct gnt_option *row, void *values, int count, char *const *words,
                        struct gnt_why *why);

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

static const struct gnt_option_word unlimited[] = {{"unlimited", GNT_CONFIG_EXPIRY_UNLIMITED},
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
             "mqtts://:8883 for TLS, or http://127.0.0.1:8080 and https://:8443 for WebSockets "
             "(ws://127.0.0.1:8080/mqtt). Can be given several times; naming any replaces the "
             "default. Without --config and this, the "
             "command listens on http://127.0.0.1:8080, too, if that is free."},
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
             "log in by user name and password or, in MQTT 5, by SCRAM-SHA-256. SIGHUP reads it "
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
     .group = "TLS, for mqtts and https listeners",                                   \
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
     .take = take_setting,
     .group = "Any other option",
     .metavar = "OPTION=VALUE",
     .help = "Sets any option of the configuration file by its name, such as "
             "limits.packet=1MiB. Can be given several times."},

    {.path = "limits.connections",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.connections),
     .fallback = "100000",
     .min = 1,
     .max = 10000000,
     .unit = "connections",
     .help = "How many connections are served at a time; more are closed at once, or sent to "
             "moved.to."},
    {.path = "limits.packet",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.packet_bytes),
     .fallback = AS_TEXT(MAX_PACKET),
     .min = 1024,
     .max = MAX_PACKET,
     .help = "The largest packet that a client may send; MQTT 5 clients are told. The default is "
             "as large as MQTT allows."},
    {.path = "limits.queued_per_session",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.queued_per_session),
     .fallback = "1000",
     .min = 1,
     .max = 1000000000,
     .unit = "messages",
     .help = "How many messages wait for one session before queue_full applies."},
    {.path = "limits.queued_bytes_per_session",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.queued_bytes),
     .fallback = "64MiB",
     .max = UINT64_C(1) << 40,
     .help = "How many bytes of messages wait for one session before queue_full applies; 0 is no "
             "limit."},
    {.path = "limits.queued",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.queued_in_all),
     .fallback = "0",
     .max = UINT64_C(1000000000000),
     .unit = "messages",
     .help = "How many messages wait in the whole broker, or are on their way to clients that have "
             "not acknowledged them, before queue_full applies to all queues; publishers of QoS 1 "
             "and 2 in MQTT 5 are told what is dropped then (quota exceeded). 0 is no limit."},
    {.path = "limits.queued_bytes",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.queued_bytes_in_all),
     .fallback = "0",
     .max = UINT64_C(1) << 50,
     .help = "How many bytes of those messages there may be; 0 is no limit."},
    {.path = "limits.receive_maximum",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.receive_maximum),
     .fallback = "65535",
     .min = 1,
     .max = 65535,
     .unit = "publications",
     .help = "How many QoS 1 and 2 publications one client may have unacknowledged on their way "
             "to the broker; MQTT 5 clients are told."},
    {.path = "limits.inflight_per_session",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.inflight_per_session),
     .fallback = "65535",
     .min = 1,
     .max = 65535,
     .unit = "publications",
     .help = "How many QoS 1 and 2 publications the broker sends to one client ahead of their "
             "acknowledgements; a client's own receive maximum may be lower."},
    {.path = "limits.topic_alias_maximum",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.topic_alias_maximum),
     .fallback = "10",
     .max = 65535,
     .unit = "aliases",
     .help = "How many topic aliases one MQTT 5 client may use towards the broker; 0 is none."},
    {.path = "limits.topic_alias_out",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.topic_alias_out),
     .fallback = "10",
     .max = 65535,
     .unit = "aliases",
     .help = "How many topic aliases the broker uses towards one MQTT 5 client that allows them; "
             "0 is none."},
    {.path = "limits.topic_levels",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.topic_levels),
     .fallback = "200",
     .min = 1,
     .max = 65536,
     .unit = "levels",
     .help = "How many levels a topic name or filter may have."},
    {.path = "limits.topic_bytes",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.topic_bytes),
     .fallback = "65535",
     .min = 1,
     .max = 65535,
     .help = "How long a topic name or filter may be. The default is as long as MQTT allows."},
    {.path = "limits.properties",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.properties_bytes),
     .fallback = "256KiB",
     .min = 1024,
     .max = MAX_PACKET,
     .help = "How many bytes of properties an MQTT 5 packet or will may have. The default has room "
             "for the largest of all that may stand there once, and 64 KiB of user properties. A "
             "packet with more ends the connection."},
    {.path = "limits.client_id_bytes",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.client_id_bytes),
     .fallback = "65535",
     .min = 23,
     .max = 65535,
     .help = "How long a client identifier may be; longer ones are refused. The default is as long "
             "as MQTT allows."},
    {.path = "limits.sessions",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.sessions),
     .fallback = "1000000",
     .min = 1,
     .max = 100000000,
     .unit = "sessions",
     .help = "How many sessions there may be, those of clients that are away included. A client "
             "that would need one more is refused."},
    {.path = "limits.retained",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.retained),
     .fallback = "10000000",
     .min = 1,
     .max = 1000000000,
     .unit = "messages",
     .help = "How many retained messages clients may leave. A publication that would be one more "
             "is refused, and goes nowhere; others may still be replaced or removed."},
    {.path = "limits.subscriptions_per_session",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.subscriptions),
     .fallback = "100000",
     .min = 1,
     .max = 10000000,
     .unit = "subscriptions",
     .help = "How many subscriptions one session may have."},
    {.path = "limits.filter_reach",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.filter_reach),
     .fallback = "2000",
     .min = 0,
     .max = 1000000000,
     .unit = "levels",
     .help = "How many levels of filters, of all sessions together, one topic name may lead to. A "
             "subscription that would make it more is refused (quota exceeded); filters without +, "
             "and those of up to 8 levels, never are. 0 is no limit: then filters like a/+/a/+/b "
             "in all combinations make one publication as expensive as all of them."},
    {.path = "limits.output_per_connection",
     .kind = GNT_OPTION_SIZE,
     FIELD(limits.output_bytes),
     .fallback = "1MiB",
     .min = 4096,
     .max = UINT64_C(1) << 30,
     .help = "How many bytes may wait to be sent on one connection before further messages for it "
             "wait in the queue of its session."},
    {.path = "limits.session_expiry",
     .kind = GNT_OPTION_SECONDS,
     FIELD(limits.session_expiry_s),
     .fallback = "unlimited",
     .max = UINT32_MAX - 1,
     .words = unlimited,
     .help = "The longest time that a session is kept after its connection has ended; a client "
             "that asks for more gets this much and, in MQTT 5, is told."},
    {.path = "limits.keep_alive_max",
     .kind = GNT_OPTION_SECONDS,
     FIELD(limits.keep_alive_max_s),
     .fallback = "0",
     .max = 65535,
     .help = "The longest keep alive of an MQTT 5 client; one that asks for more, or for none, "
             "is told to use this. 0 takes whatever the client says."},
    {.path = "limits.connect_timeout",
     .kind = GNT_OPTION_DURATION,
     FIELD(limits.connect_timeout_ms),
     .fallback = "10s",
     .min = 100,
     .max = 600000,
     .help = "How long a new connection may take to send its CONNECT packet and to log in."},
    {.path = "limits.connect_rate",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.connect_rate),
     .fallback = "0",
     .max = 1000000,
     .unit = "clients a second",
     .help = "How many clients may connect in a second; as many may come at once. Those above it "
             "are refused, before anything is looked up for them. 0 is no limit."},
    {.path = "limits.write_timeout",
     .kind = GNT_OPTION_DURATION,
     FIELD(limits.write_timeout_ms),
     .fallback = "2m",
     .max = 86400000,
     .help = "How long a client may take nothing of what is to be sent to it before its connection "
             "is closed; its session keeps what it is due. 0 is for ever."},
    {.path = "limits.maximum_qos",
     .kind = GNT_OPTION_INTEGER,
     FIELD(limits.maximum_qos),
     .fallback = "2",
     .max = 2,
     .help = "The highest quality of service of a client's publications and will, and the highest "
             "that a subscription is granted; MQTT 5 clients are told. A publication or will "
             "above it ends the connection."},
    {.path = "limits.retain_available",
     .kind = GNT_OPTION_BOOL,
     FIELD(limits.retain_available),
     .fallback = "true",
     .help = "Whether clients may publish retained messages; MQTT 5 clients are told. Where they "
             "may not, a publication or will with the retain flag ends the connection."},
    {.path = "limits.wildcard_available",
     .kind = GNT_OPTION_BOOL,
     FIELD(limits.wildcard_available),
     .fallback = "true",
     .help = "Whether topic filters may have wildcards; MQTT 5 clients are told. Where they may "
             "not, such a filter is refused in SUBACK."},
    {.path = "limits.shared_available",
     .kind = GNT_OPTION_BOOL,
     FIELD(limits.shared_available),
     .fallback = "true",
     .help = "Whether there are shared subscriptions; MQTT 5 clients are told. Where there are "
             "none, such a filter is refused in SUBACK."},
    {.path = "limits.subscription_ids_available",
     .kind = GNT_OPTION_BOOL,
     FIELD(limits.subscription_ids_available),
     .fallback = "true",
     .help = "Whether MQTT 5 clients may give their subscriptions identifiers; they are told. "
             "Where they may not, a SUBSCRIBE with one ends the connection."},

    {.path = "guessing.delay_after",
     .kind = GNT_OPTION_INTEGER,
     FIELD(guessing.delay_after),
     .fallback = "5",
     .max = 1000000,
     .words = no_delay,
     .unit = "failures",
     .help = "How many failed logins of one address within guessing.window are answered at once; "
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
             "127.0.0.1, port 1883, and for WebSockets on port 8080, for anybody on this machine, "
             "and keeps what has to last in the "
             "data directory that --data describes.",
    .footer = "The configuration file is YAML with the same options, and more, as\n"
              "docs/configuration.md describes them.",
    .table = GNT_OPTION_TABLE(struct gnt_config, rows),
};

/* --- --set --- */

static int unknown_setting(const char *path, struct gnt_why *why)
{
    char shown[64];
    struct gnt_nearest near =
        gnt_nearest(gnt_utf8_printable(gnt_slice_str(path), shown, sizeof shown));
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        if (rows[i].path)
            gnt_nearest_offer(&near, rows[i].path);
    }
    if (near.word)
        gnt_why_set(why, "unknown option '%s', did you mean '%s'?", shown, near.word);
    else
        gnt_why_set(why, "unknown option '%s'", shown);
    return GNT_INVALID;
}

static int take_setting(const struct gnt_option *row, void *values, int count, char *const *words,
                        struct gnt_why *why)
{
    const char *equals = count > 0 ? strchr(words[0], '=') : NULL;
    char path[64];
    struct gnt_why inner;
    if (!equals || (size_t)(equals - words[0]) >= sizeof path) {
        gnt_why_set(why, "expected %s, such as limits.packet=1MiB", row->metavar);
        return GNT_INVALID;
    }
    memcpy(path, words[0], (size_t)(equals - words[0]));
    path[equals - words[0]] = '\0';

    const struct gnt_option *set = gnt_option_find(&gnt_config_table, path);
    if (!set)
        return unknown_setting(path, why);
    if (set->kind == GNT_OPTION_MAPS) {
        if (set->flag)
            gnt_why_set(why, "%s is a list; give it by --%s", path, set->flag);
        else
            gnt_why_set(why, "%s is a list of maps, which stands in a file only", path);
        return GNT_INVALID;
    }
    gnt_err err = gnt_option_set(set, values, gnt_slice_str(equals + 1), &inner);
    if (err == GNT_INVALID)
        gnt_why_set(why, "%s: %s", path, inner.text);
    return err ? err : 1;
}

/* --- the whole --- */

gnt_err gnt_config_init(struct gnt_config *config)
{
    return gnt_options_init(&gnt_config_table, config);
}

void gnt_config_fini(struct gnt_config *config)
{
    gnt_options_fini(&gnt_config_table, config);
}

gnt_err gnt_config_load(const char *file, struct gnt_config *config, struct gnt_diag *diag)
{
    return gnt_yaml_load(file, &gnt_config_table, config, diag);
}

/* Where people look for it, too, if they have not said anything about listeners. */
static gnt_err add_http(struct gnt_config *config)
{
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, "listeners");
    struct gnt_why why;
    gnt_err err = gnt_option_set(row, config, gnt_slice_str("http://127.0.0.1:8080"), &why);
    if (!err)
        config->listeners.items[config->listeners.count - 1].optional = true;
    return err;
}

/* The command line names the file that it overrides, so it is read twice: once to learn the file
 * and every mistake in the words themselves, then over what the file says. */
static gnt_err read_all(int argc, char **argv, struct gnt_config *fresh,
                        struct gnt_args_result *result, struct gnt_diag *diag)
{
    gnt_err err = gnt_args_parse(&gnt_config_arguments, argc, argv, fresh, result, diag);
    if (err || result->help || result->version || !fresh->file)
        return err;
    char *file = fresh->file;
    fresh->file = NULL;
    err = gnt_config_load(file, fresh, diag);
    free(file);
    if (err)
        return err;
    return gnt_args_parse(&gnt_config_arguments, argc, argv, fresh, result, diag);
}

gnt_err gnt_config_args(int argc, char **argv, struct gnt_config *config,
                        struct gnt_args_result *result, struct gnt_diag *diag)
{
    struct gnt_config fresh;
    gnt_err err = gnt_config_init(&fresh);
    if (err)
        return err;
    err = add_http(&fresh);
    if (!err)
        err = read_all(argc, argv, &fresh, result, diag);
    if (err || result->help || result->version) {
        gnt_config_fini(&fresh);
        return err;
    }
    gnt_config_fini(config);
    *config = fresh;
    return GNT_OK;
}

/* A name that is "none" is none. */
static const char *unless_none(const char *name)
{
    return name && strcmp(name, "none") != 0 ? name : NULL;
}

const char *gnt_config_data(const struct gnt_config *config)
{
    return unless_none(config->data);
}

const char *gnt_config_users(const struct gnt_config *config)
{
    return unless_none(config->users);
}

const char *gnt_config_access_file(const struct gnt_config *config)
{
    return unless_none(config->access_file);
}

size_t gnt_config_diff(const struct gnt_config *a, const struct gnt_config *b,
                       const struct gnt_option **changed, size_t cap)
{
    size_t count = 0;
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        if (!rows[i].path || gnt_option_equal(&rows[i], a, b))
            continue;
        if (count < cap)
            changed[count] = &rows[i];
        count++;
    }
    return count;
}

gnt_err gnt_config_reference(struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "### Options\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_config_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### One listener\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_listener_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### One rule of access\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_config_rule_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### On the command line only\n\n");
    return err ? err : gnt_reference_flags(&gnt_config_table, out);
}
