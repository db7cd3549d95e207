/* The broker's configuration: what can be set, its defaults, and where it comes from.  The rows
 * are in config_rows.c; docs/configuration.md shows them.
 *
 * The command line overrides the file, the file overrides the defaults.  A reload reads the same
 * command line and file again (gnt_config_args) and compares (gnt_config_diff).
 *
 * Ownership  gnt_config_init(), _load() or _args() fill it, gnt_config_fini() frees it; a zeroed
 *            one may be given to any of them.  Lists and strings belong to it.
 * Threads    one at a time; constant once the broker runs. */
#ifndef GNT_CONF_CONFIG_H
#define GNT_CONF_CONFIG_H

#include "base/log.h"
#include "conf/args.h"
#include "conf/diag.h"
#include "conf/option.h"
#include "model/queue_options.h"

/* Whether a listener asks its clients for certificates; AUTO: what follows from the rest. */
enum gnt_config_ask {
    GNT_CONFIG_ASK_AUTO,
    GNT_CONFIG_ASK_NONE,
    GNT_CONFIG_ASK_OPTIONAL,
    GNT_CONFIG_ASK_REQUIRED,
};

/* What in a client's certificate is its user name. */
enum gnt_config_identity {
    GNT_CONFIG_IDENTITY_AUTO,
    GNT_CONFIG_IDENTITY_CN,
    GNT_CONFIG_IDENTITY_SAN,
    GNT_CONFIG_IDENTITY_SUBJECT,
    GNT_CONFIG_IDENTITY_NONE,
};

enum { GNT_CONFIG_TLS_USUAL = 0x0303 }; /* the least version where none is said */

/* What TLS listeners show, and ask for. */
struct gnt_config_tls {
    struct gnt_strings certificates, keys, pfxs, cas, crls; /* files */
    char *passphrase;                                       /* file:FILE or env:NAME */
    enum gnt_config_ask ask;
    enum gnt_config_identity identity;
    uint16_t least, greatest; /* as on the wire: 0x0303 is TLS 1.2; 0: the usual */
    char *ciphers, *suites;
};

struct gnt_config_listener {
    char *url; /* gnt_url_parse has accepted it */
    struct gnt_strings origins;
    struct gnt_config_tls tls;  /* its own; see gnt_config_tls */
    char *mode;                 /* of a Unix socket, in octal; NULL: the usual one */
    struct gnt_strings proxies; /* gnt_network_parse has accepted them */
    bool optional;              /* a default that is left out where its address is in use */
};

struct gnt_config_listeners {
    struct gnt_config_listener *items;
    size_t count;
};

/* A rule of the access list, as it was written: what is wrong with it tells who makes the list. */
struct gnt_config_rule {
    char *who; /* NULL: everybody */
    struct gnt_strings may, may_not;
    char *on;
    uint32_t line; /* of the file; 0: there is none */
};

struct gnt_config_rules {
    struct gnt_config_rule *items;
    size_t count;
};

/* A queue that is to be there. */
struct gnt_config_queue {
    char *name;
    struct gnt_strings bind; /* topic filters */
    struct gnt_queue_options options;
};

struct gnt_config_queues {
    struct gnt_config_queue *items;
    size_t count;
};

/* Whether a name that is not known becomes a queue. */
enum gnt_config_auto_create {
    GNT_CONFIG_AUTO_CREATE_UNDECLARED, /* where no queue is declared */
    GNT_CONFIG_AUTO_CREATE_YES,
    GNT_CONFIG_AUTO_CREATE_NO,
};

/* Who may connect without a user name. */
enum gnt_config_anonymous {
    GNT_ANONYMOUS_LOOPBACK, /* only where every listener is on a loopback address */
    GNT_ANONYMOUS_YES,
    GNT_ANONYMOUS_NO,
};

/* What happens to a message for a session whose queue is full. */
enum gnt_config_queue_full {
    GNT_QUEUE_FULL_DROP_NEWEST,
    GNT_QUEUE_FULL_DROP_OLDEST,
    GNT_QUEUE_FULL_DISCONNECT,
};

enum { GNT_CONFIG_MAX_WORKERS = 64 };

#define GNT_CONFIG_EXPIRY_UNLIMITED UINT32_MAX

enum { GNT_CONFIG_REFERENCE_MAX = 255 };

/* Who is sent to another server. */
enum gnt_config_moved_clients {
    GNT_MOVED_ALL,
    GNT_MOVED_SURPLUS, /* those beyond limits.connections */
};

struct gnt_config_moved {
    char *to; /* a server reference [MQTT5 4.11], or "none" */
    enum gnt_config_moved_clients clients;
    bool permanent;
};

/* What happens to a QoS 0 message for a connected session whose queue is full. */
enum gnt_config_qos0 { GNT_QOS0_DROP, GNT_QOS0_WAIT };

struct gnt_config_limits {
    uint32_t connections;
    uint32_t packet_bytes;         /* of a received packet */
    uint32_t queued_per_session;   /* messages */
    uint64_t queued_bytes;         /* per session; 0: no limit */
    uint64_t queued_in_all;        /* messages, of all sessions together; 0: no limit */
    uint64_t queued_bytes_in_all;  /* 0: no limit */
    uint16_t receive_maximum;      /* unacknowledged publications from one client */
    uint16_t inflight_per_session; /* unacknowledged publications to one client */
    uint16_t topic_alias_maximum;  /* from one client */
    uint16_t topic_alias_out;      /* to one client */
    uint32_t topic_levels;
    uint16_t topic_bytes;
    uint16_t client_id_bytes;
    uint32_t properties_bytes; /* of one packet or will */
    uint32_t sessions;         /* connected or not */
    uint32_t retained;         /* messages */
    uint32_t queues;           /* without those of dead letters */
    uint32_t subscriptions;    /* per session */
    uint32_t filter_reach;     /* of one topic name; 0: no limit */
    uint64_t output_bytes;     /* unsent, per connection */
    uint32_t session_expiry_s; /* longest; GNT_CONFIG_EXPIRY_UNLIMITED: any */
    uint16_t keep_alive_max_s; /* 0: the client's own */
    uint32_t connect_timeout_ms;
    uint32_t connect_rate;     /* clients a second; 0: any number */
    uint32_t write_timeout_ms; /* without progress; 0: any time */
    uint32_t frame_bytes;      /* of AMQP, received */
    uint32_t amqp_sessions;    /* per connection */
    uint32_t amqp_links;       /* likewise */
    uint32_t amqp_unsettled;   /* deliveries, per connection and direction */
    uint32_t amqp_suspended;   /* links of the broker */
    uint32_t amqp_suspended_ms;
    uint32_t amqp_idle_ms; /* 0: any time */
    /* Of AMQP, per connection: open ones, and what is in all of them */
    uint32_t transactions, transaction_parts;
    uint64_t transaction_bytes;
    uint32_t transaction_timeout_ms; /* 0: any time */
    uint8_t maximum_qos; /* of publications and wills from clients, and of subscriptions */
    bool retain_available;
    bool wildcard_available;
    bool shared_available;
    bool subscription_ids_available;
};

/* What failed logins of one address cost it. */
struct gnt_config_guessing {
    uint32_t delay_after; /* failures within the window; UINT32_MAX: none is held back */
    uint32_t block_after; /* 0: no address is blocked */
    uint32_t window_ms;
    uint32_t delay_ms, delay_max_ms;
    uint32_t block_ms;
};

struct gnt_config {
    char *file; /* --config, NULL if none */
    struct gnt_config_listeners listeners;
    struct gnt_config_tls tls; /* of all listeners that have none of their own */
    char *data; /* a directory, or "none"; NULL: the command finds one, a library keeps none */
    uint32_t sync_ms; /* after a commit, at most; 0: before it is acknowledged */
    uint32_t workers; /* 0: one per core */
    char *users;      /* a file, or "none" */
    enum gnt_config_anonymous allow_anonymous;
    struct gnt_config_rules access;
    char *access_file; /* or "none" */
    struct gnt_config_queues queues;
    enum gnt_config_auto_create auto_create;
    enum gnt_log_level log_level;
    enum gnt_log_format log_format;
    uint64_t sys_interval_ms; /* 0: no $SYS topics */
    bool sys_ledgers;         /* of each session and shared group, too */
    bool tell_dropped;        /* to MQTT 5 clients, in CONNACK */
    enum gnt_config_queue_full queue_full;
    uint32_t queue_full_wait_ms; /* how long publishers wait for a connected receiver before that */
    enum gnt_config_qos0 queue_full_qos0;
    struct gnt_config_limits limits;
    struct gnt_config_guessing guessing;
    struct gnt_config_moved moved;
};

/* All rows, those that only the command line knows too. */
extern const struct gnt_option_table gnt_config_table;

/* What `gnatter broker --help` shows (gnt_args_help). */
extern const struct gnt_args gnt_config_arguments;

/* The defaults.  GNT_NOMEM leaves *config zeroed. */
GNT_MUST gnt_err gnt_config_init(struct gnt_config *config);

void gnt_config_fini(struct gnt_config *config);

/* Replaces *config by the defaults with FILE over them.  GNT_INVALID (DIAG has a line for every
 * mistake) and GNT_NOMEM leave it as it was. */
GNT_MUST gnt_err gnt_config_load(const char *file, struct gnt_config *config,
                                 struct gnt_diag *diag);

/* Replaces *config by the defaults, over them the file that --config names, over that the command
 * line: argv[0] is the first word after `gnatter broker`.  Where result->help or ->version is set,
 * and on failure (as gnt_config_load), *config is as it was. */
GNT_MUST gnt_err gnt_config_args(int argc, char **argv, struct gnt_config *config,
                                 struct gnt_args_result *result, struct gnt_diag *diag);

/* The directory that keeps what outlives the process; NULL: none was named, or "none". */
const char *gnt_config_data(const struct gnt_config *config);

/* The file of users, or NULL. */
const char *gnt_config_users(const struct gnt_config *config);

/* The acl_file, or NULL. */
const char *gnt_config_access_file(const struct gnt_config *config);

/* Whether LISTENER, of a configuration, speaks TLS from the first byte on; and whether it speaks
 * it at all: one for AMQP that has a certificate of its own does with clients that ask for it by
 * AMQP's header for TLS. */
bool gnt_config_is_tls(const struct gnt_config_listener *listener);
bool gnt_config_takes_tls(const struct gnt_config_listener *listener);

/* What holds for LISTENER of CONFIG, where all is decided: lent, what is in it belongs to CONFIG.
 * GNT_INVALID: WHY says what is missing, or does not go together; one without TLS should have none.
 */
GNT_MUST gnt_err gnt_config_tls(const struct gnt_config *config,
                                const struct gnt_config_listener *listener,
                                struct gnt_config_tls *out, struct gnt_why *why);

/* Whether nobody gets through to LISTENER of CONFIG without a certificate. */
bool gnt_config_is_authenticated(const struct gnt_config *config,
                                 const struct gnt_config_listener *listener);

/* Whether other machines get to LISTENER, and nothing but a certificate could keep them out. */
bool gnt_config_needs_certificates(const struct gnt_config *config,
                                   const struct gnt_config_listener *listener);

/* Whether every listener is on a loopback address, or a Unix socket, and has no proxies that pass
 * others on. */
bool gnt_config_on_loopback(const struct gnt_config *config);

/* Whether other machines get through to a listener without a certificate. */
bool gnt_config_is_open(const struct gnt_config *config);

/* Whether clients may connect that do not say who they are. */
bool gnt_config_anonymous(const struct gnt_config *config);

/* Whether a name that is not known becomes a queue. */
bool gnt_config_creates(const struct gnt_config *config);

/* Writes up to CAP rows whose values differ, in table order, and returns how many differ.  A row
 * with `restart` takes effect at the next start only; gnt_option_text() shows the values. */
size_t gnt_config_diff(const struct gnt_config *a, const struct gnt_config *b,
                       const struct gnt_option **changed, size_t cap);

/* Appends the reference: the tables of docs/configuration.md. */
GNT_MUST gnt_err gnt_config_reference(struct gnt_buf *out);

#endif
