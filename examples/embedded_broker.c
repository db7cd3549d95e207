/* A program with an MQTT broker inside, which publishes a tick every second, until Ctrl-C.  Without
 * a URL it serves this machine only, on any free port.
 *
 *     embedded_broker [URL]        embedded_broker mqtt://127.0.0.1:1883
 */
#include <gnatter/broker.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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

    sigset_t ends; /* signals wait for this thread; the broker's leave them alone */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    gnatter_broker *broker = NULL;
    if (gnatter_broker_new(&options, &broker) != 0 || gnatter_broker_start(broker) != 0) {
        fprintf(stderr, "embedded_broker: cannot start: %s\n", problem);
        return EXIT_FAILURE;
    }
    printf("listening on %s\n", gnatter_broker_url(broker, 0));
    fflush(stdout);
    while (sigtimedwait(&ends, NULL, &(struct timespec){.tv_sec = 1}) < 0)
        gnatter_broker_publish(broker, "ticks", "tick", 4, 0, false);
    gnatter_broker_free(broker);
    return EXIT_SUCCESS;
}
