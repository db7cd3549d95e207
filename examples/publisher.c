/* Publishes one message at QoS 1 and waits until the broker has it.
 *
 *     publisher HOST [PORT [TOPIC [TEXT]]]        publisher localhost 1883 greetings hello
 */
#include <gnatter/mqtt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct gnatter_client_options options;
    gnatter_client_options_init(&options);
    if (argc > 1)
        options.host = argv[1];
    if (argc > 2)
        options.port = (uint16_t)atoi(argv[2]);

    struct gnatter_message message = {.topic = argc > 3 ? argv[3] : "greetings", .qos = 1};
    message.payload = argc > 4 ? argv[4] : "hello";
    message.payload_size = strlen(message.payload);

    gnatter_client *client = NULL;
    int error = gnatter_client_new(&options, &client);
    if (!error)
        error = gnatter_client_connect(client, 10000);
    if (!error)
        error = gnatter_client_publish_wait(client, &message, 10000, NULL);
    if (!error)
        error = gnatter_client_disconnect(client, NULL, 1000);
    if (error)
        fprintf(stderr, "publisher: %s\n", gnatter_error_text(error));
    else
        printf("published to %s\n", message.topic);
    gnatter_client_free(client);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
