/* A broker that knows its users by itself: ann may do everything, others may listen, but to nothing
 * below "private".  It tells who comes and goes, until Ctrl-C.
 *
 *     own_users [URL]        own_users mqtt://127.0.0.1:1883
 */
#include <gnatter/broker.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum gnatter_login_answer who(void *context, const struct gnatter_login *login,
                                     char user[GNATTER_USER_SIZE])
{
    (void)context;
    if (login->user && strcmp(login->user, "ann") == 0) /* it may take its time, and ask others */
        return login->password_size == 6 && memcmp(login->password, "secret", 6) == 0
                   ? GNATTER_LOGIN_ACCEPT
                   : GNATTER_LOGIN_REFUSE;
    user[0] = '\0';
    return GNATTER_LOGIN_ACCEPT;
}

static bool may(void *context, const struct gnatter_wanted *wanted)
{
    (void)context;
    return wanted->user ||
           (wanted->action != GNATTER_ACTION_PUBLISH && strncmp(wanted->topic, "private", 7) != 0);
}

static void came(void *context, const struct gnatter_guest *guest)
{
    (void)context;
    printf("%s is here from %s\n", guest->user ? guest->user : "somebody", guest->address);
}

static void went(void *context, const struct gnatter_guest *guest, const char *why)
{
    (void)context;
    printf("%s has gone: %s\n", guest->user ? guest->user : "somebody", why);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://127.0.0.1:0";
    char problem[1024] = "";
    struct gnatter_broker_options options;
    gnatter_broker_options_init(&options);
    options.listeners = &url;
    options.listener_count = 1;
    options.problem = problem;
    options.problem_size = sizeof problem;
    options.authenticate = who;
    options.authorize = may;
    options.on_client_came = came;
    options.on_client_went = went;
    setlinebuf(stdout);

    int sig;
    sigset_t ends; /* signals wait for this thread; the broker's leave them alone */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    gnatter_broker *broker = NULL;
    if (gnatter_broker_new(&options, &broker) != 0 || gnatter_broker_start(broker) != 0) {
        fprintf(stderr, "own_users: cannot start: %s\n", problem);
        return EXIT_FAILURE;
    }
    printf("listening on %s\n", gnatter_broker_url(broker, 0));
    sigwait(&ends, &sig);
    gnatter_broker_free(broker);
    return EXIT_SUCCESS;
}
