/* The MQTT broker inside a program of your own, in three calls:
 *
 *     gnatter_broker *broker;
 *     gnatter_broker_new(NULL, &broker);      for everybody on this machine, port 1883
 *     gnatter_broker_start(broker);           it serves, on threads of its own
 *     gnatter_broker_free(broker);            it stops
 *
 * and with settings, and what is wrong with them, in words:
 *
 *     const char *urls[] = {"mqtt://:1883"};
 *     char problem[1024];
 *     struct gnatter_broker_options options;
 *     gnatter_broker_options_init(&options);
 *     options.listeners = urls;
 *     options.listener_count = 1;
 *     options.allow_anonymous = true;
 *     options.config_text = "limits: {packet: 1MiB}";
 *     options.problem = problem;
 *     options.problem_size = sizeof problem;
 *     if (gnatter_broker_new(&options, &broker) != 0)
 *         fprintf(stderr, "%s\n", problem);
 *
 * Ownership  gnatter_broker_new() to gnatter_broker_free().  What you pass in is copied before the
 *            call returns.
 * Threads    _start, _stop and _free of one broker by one thread at a time; the others say theirs.
 *            The broker's own threads block all signals: handlers run where you run them.
 * Many       any number of brokers in one process; they share the log and nothing else.
 * State      kept in memory, and gone with the broker, unless a configuration names a data
 *            directory (`data`); one that does not keeps all in memory here.
 * Errors     0 or a negative GNATTER_E*; a call that fails has changed nothing. */
#ifndef GNATTER_BROKER_H
#define GNATTER_BROKER_H

#include <gnatter/error.h>
#include <gnatter/tls.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

GNATTER_BEGIN

typedef struct gnatter_broker gnatter_broker;

/* ---- What a program has its say in: callbacks, each of which may be NULL.
 *
 * What they are handed is lent until they return, and texts are UTF-8.  They are called from
 * gnatter_broker_start() on, `authorize` from gnatter_broker_new() on where a data directory has
 * sessions, and until gnatter_broker_free() has returned.  They may call nothing of this broker but
 * gnatter_broker_publish().  Which threads of the broker do so stands with each: on the workers'
 * all clients of that worker wait meanwhile, so what takes longer than some microseconds does not
 * belong there. */

/* A client that wants in, and what it has shown. */
struct gnatter_login {
    const char *client_id; /* "": it will be given one; of AMQP the container id, which is known
                              only of clients that come without SASL, "" of the others */
    const char *user;      /* NULL: none */
    const void *password;  /* NULL: none */
    size_t password_size;
    const char *address;                           /* "192.0.2.1:50412" */
    const struct gnatter_certificate *certificate; /* found good; NULL: none was shown */
    const char *certificate_name; /* by it, as the listener's `identity` says; NULL: none */
    const char *protocol;         /* "mqtt" or "amqp" */
};

enum gnatter_login_answer {
    GNATTER_LOGIN_REFUSE, /* told: bad user name or password; without one: not authorized */
    GNATTER_LOGIN_ACCEPT,
    GNATTER_LOGIN_USUAL /* as without the callback: by certificate, `users`, allow_anonymous */
};

enum { GNATTER_USER_SIZE = 1025 };

/* Decides who may come: asked about each client except those that log in by an authentication
 * method of MQTT 5 (SCRAM), for which the users' file is asked alone.  AMQP clients are offered
 * what it can be asked about: PLAIN, ANONYMOUS, and EXTERNAL by certificate.  USER, up to
 * GNATTER_USER_SIZE with its zero byte, is whom the client counts as where it is accepted: at first
 * what its certificate says, else what itself does; it may be changed, and "" is anonymous.
 *
 * It may take its time.  It is called on a thread of its own, for one client after the other (the
 * one that also checks the passwords of `users`); the client has limits.connect_timeout, 256 of
 * them may wait, and what it did not wait for is not asked any more.  gnatter_broker_free() waits
 * for its return.  Who is refused with a password counts as guessing (`guessing`). */
typedef enum gnatter_login_answer gnatter_authenticate(void *context,
                                                       const struct gnatter_login *login,
                                                       char user[GNATTER_USER_SIZE]);

enum gnatter_action {
    GNATTER_ACTION_PUBLISH = 1,
    GNATTER_ACTION_SUBSCRIBE = 2, /* to ask for what a filter matches */
    GNATTER_ACTION_RECEIVE = 4,   /* to be given a message of that */
    GNATTER_ACTION_SEND = 8,      /* to a queue, over AMQP or to the topic $queue/NAME */
    GNATTER_ACTION_LISTEN = 16,   /* to receive from a queue, or to browse it, likewise */
    GNATTER_ACTION_MANAGE = 32    /* to make, look at, change and delete a queue */
};

struct gnatter_wanted {
    const char *client_id;
    const char *user; /* NULL: anonymous */
    enum gnatter_action action;
    const char *topic; /* a topic name; of SUBSCRIBE a filter, of a shared one that behind the
                          group; of the last three the name of a queue, in small letters as far as
                          they are ASCII, for names of queues compare so */
};

/* Decides what a client may do: true permits it.  Asked for each publication, also that of a will,
 * when the client connects; for each filter that is subscribed to; and for each message that such a
 * subscription matches, before it is sent; for each link to a queue, and for each request about
 * one. Publications of gnatter_broker_publish are not asked for.  On the workers' threads, several
 * at a time: it has to be quick, and not to forget that it is asked a million times a second. */
typedef bool gnatter_authorize(void *context, const struct gnatter_wanted *wanted);

/* A client that was let in. */
struct gnatter_guest {
    const char *client_id;
    const char *user;     /* NULL: anonymous */
    const char *address;  /* "192.0.2.1:50412" */
    const char *protocol; /* "mqtt" or "amqp", of which client_id is the container id */
};

/* It has come; later, once: it has gone, and WHY in words for people ("by the client", "keep alive
 * timeout").  A client that comes a second time goes for that with "session taken over", before or
 * after it has come again.  On its worker's thread, when the broker ends also on the one that frees
 * it. */
typedef void gnatter_client_came(void *context, const struct gnatter_guest *guest);
typedef void gnatter_client_went(void *context, const struct gnatter_guest *guest, const char *why);

/* ---- Options: all zero unless you set them.  What is set here stands above the configuration. */

struct gnatter_broker_options {
    size_t size; /* of this struct, set by gnatter_broker_options_init: leave it */

    /* Where it listens, such as "mqtt://127.0.0.1:1883"; without a host on all addresses; port 0
     * is any free one.  [none: what the configuration says, else "mqtt://127.0.0.1:1883"] */
    const char *const *listeners;
    size_t listener_count;

    /* A configuration, as a file or as text (not both): all that the reference of
     * `gnatter broker` has, in its YAML.  Its log.level and log.format are checked, but not used:
     * the log is the process's, see gnatter_log. */
    const char *config_file;
    const char *config_text;

    uint32_t workers; /* threads, up to 64 [0: what the configuration says, else one per core] */

    /* Clients without a user name may connect, from other machines too.  [false: what the
     * configuration says, else only where every listener is on a loopback address; a listener on
     * another address is refused then] */
    bool allow_anonymous;

    /* Where gnatter_broker_new puts words for people when it fails: a line for each mistake, with
     * its place if it is in a configuration; cut to PROBLEM_SIZE.  [NULL: nowhere] */
    char *problem;
    size_t problem_size;

    /* What the program has its say in.  With `authenticate` a listener may be open to other
     * machines, and clients without a user name that it leaves to the usual way come in only as
     * allow_anonymous says in words, or where every listener is on a loopback address.  With
     * `authorize` the configuration has no `access` and no `access_file`.  judge and choose are
     * those of gnatter/tls.h, for clients of mqtts and https listeners, on workers' threads.  The
     * first is asked where a listener asks for certificates, which takes a `ca` all the same; what
     * it accepts is good, and names a user.  The second is asked for each host that a client means;
     * where it chooses nothing the listener's own certificate is shown.  The files that it names
     * are read again when they have changed. [NULL: the broker decides] */
    gnatter_authenticate *authenticate;
    gnatter_authorize *authorize;
    gnatter_client_came *on_client_came;
    gnatter_client_went *on_client_went;
    gnatter_tls_judge *judge;
    gnatter_tls_choose *choose;
    void *context; /* handed to these six */
};

#define gnatter_broker_options_init(options) \
    gnatter_broker_options_init_size((options), sizeof *(options))
GNATTER_API void gnatter_broker_options_init_size(struct gnatter_broker_options *options,
                                                  size_t size);

/* ---- Life */

/* Reads the configuration and binds the listeners, so that clients can connect; nobody answers them
 * yet.  OPTIONS may be NULL.  Any thread.
 *   GNATTER_EINVALID      options or a configuration that cannot be, a file that cannot be read
 *   GNATTER_EUNSUPPORTED  a data directory, or options, of a later version
 *   GNATTER_EMALFORMED    a data directory that is damaged beyond use
 *   GNATTER_EDENIED       a listener that is open to other machines, without allow_anonymous; a
 *                         port that only the superuser may use
 *   GNATTER_EBUSY         an address that is in use, or a data directory that another broker has
 *   GNATTER_ENOTFOUND     a data directory that is not there and cannot be made
 *   GNATTER_ERESOLVE      a listener's host name is not found
 *   GNATTER_EIO           the system does not let it listen there for another reason
 *   GNATTER_ENOMEM */
GNATTER_API int gnatter_broker_new(const struct gnatter_broker_options *options,
                                   gnatter_broker **out);

/* Serves from now on.  Once:
 *   GNATTER_ESTATE  it was started or stopped before
 *   GNATTER_ENOMEM  no memory for so many threads, or no right to; for good, too */
GNATTER_API int gnatter_broker_start(gnatter_broker *broker);

/* Tells the clients good-bye (MQTT 5: server shutting down), writes what they still have to get for
 * at most 3 seconds, and ends the threads.  For good: the next one is another broker. */
GNATTER_API void gnatter_broker_stop(gnatter_broker *broker);

/* Stops if need be, and frees.  Nobody but its callbacks may be in a function of this broker.  NULL
 * is fine. */
GNATTER_API void gnatter_broker_free(gnatter_broker *broker);

/* ---- While it lives */

/* Where it listens, with the port that was chosen where 0 was asked: "mqtt://127.0.0.1:35413".  A
 * host name with several addresses counts several times; NULL past the last one.  Valid as long as
 * the broker.  Any thread. */
GNATTER_API const char *gnatter_broker_url(const gnatter_broker *broker, size_t index);

/* Publishes without a client: to whom it may concern, and retained if RETAIN (an empty payload ends
 * what was retained).  Each subscriber gets it with QoS or with that of its subscription, whichever
 * is lower.  Messages of one thread keep their order.  Before _start they wait for it; those on
 * their way when the broker stops are lost.
 *
 * 0 says that the broker has taken it.  It takes them no faster than it can hand them on: up to 64
 * MiB wait, then GNATTER_EFULL says to try again later.  What waits, at QoS 1 and 2, at the full
 * queue of a connected subscriber counts among that, for queue_full_wait at most; then, and at QoS
 * 0 at once, that subscriber gets what the setting queue_full says.  Any thread.
 *   GNATTER_EINVALID  TOPIC is no topic name, or deeper than limits.topic_levels; QOS over 2
 *   GNATTER_EDENIED   the topic is below $SYS, which is the broker's
 *   GNATTER_ETOOBIG   over limits.packet
 *   GNATTER_EFULL     see above
 *   GNATTER_ESTATE    it has been stopped
 *   GNATTER_ENOMEM */
GNATTER_API int gnatter_broker_publish(gnatter_broker *broker, const char *topic,
                                       const void *payload, size_t size, unsigned qos, bool retain);

/* ---- The log, which all brokers of the process share */

enum gnatter_log_level {
    GNATTER_LOG_ERROR,
    GNATTER_LOG_WARNING,
    GNATTER_LOG_NOTICE,
    GNATTER_LOG_INFO, /* clients that come and go */
    GNATTER_LOG_DEBUG
};

enum gnatter_log_format { GNATTER_LOG_TEXT, GNATTER_LOG_JSON };

/* LINE has SIZE bytes and a zero byte behind them, no newline; lent until it returns.  Called by
 * any thread of any broker, several at a time; it must not wait long, and call no broker. */
typedef void gnatter_log_write(void *context, enum gnatter_log_level level, const char *line,
                               size_t size);

/* Sends lines up to MOST_DETAILED to WRITE, or to stderr if that is NULL.  Unless this is called,
 * errors and warnings go to stderr as text.  Not while a broker runs. */
GNATTER_API void gnatter_log(enum gnatter_log_level most_detailed, enum gnatter_log_format format,
                             gnatter_log_write *write, void *context);

GNATTER_END

#endif
