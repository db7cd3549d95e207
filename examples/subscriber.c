/* Prints the messages of a topic filter, COUNT of them if that is given.
 *
 *     subscriber HOST [PORT [FILTER [COUNT]]]        subscriber localhost 1883 'greetings/#' 1
 */
#include <gnatter/mqtt.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static sem_t arrived;
static void on_message(gnatter_client *c, const struct gnatter_received *m, void *context)
{
    (void)c, (void)context;
    printf("%s %.*s\n", m->topic, (int)m->payload_size, (const char *)m->payload);
    sem_post(&arrived);
}

int main(int argc, char **argv)
{
    struct gnatter_client_options options;
    gnatter_client_options_init(&options);
    options.host = argc > 1 ? argv[1] : "localhost";
    options.port = argc > 2 ? (uint16_t)atoi(argv[2]) : 1883;
    options.on_message = on_message;
    sem_init(&arrived, 0, 0);
    setlinebuf(stdout);

    struct gnatter_subscription all = {.filter = argc > 3 ? argv[3] : "greetings/#", .qos = 1};
    gnatter_client *client = NULL;
    int error = gnatter_client_new(&options, &client);
    if (!error)
        error = gnatter_client_subscribe_wait(client, &all, 1, NULL, 10000, NULL);
    for (long left = argc > 4 ? atol(argv[4]) : -1; !error && left != 0; left--)
        sem_wait(&arrived);
    if (error)
        fprintf(stderr, "subscriber: %s\n", gnatter_error_text(error));
    gnatter_client_free(client);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
