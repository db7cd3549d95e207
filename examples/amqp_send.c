/* Sends messages to an address of an AMQP 1.0 broker, and waits until it has accepted each.
 *
 *     amqp_send URL [ADDRESS [TEXT...]]        amqp_send amqp://localhost greetings hello again
 */
#include <gnatter/amqp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int send_text(gnatter_amqp_sender *sender, const char *text)
{
    gnatter_amqp_message *m = NULL;
    struct gnatter_amqp_outcome outcome = {.error = 0};
    int error = gnatter_amqp_message_new(&m);
    if (error)
        return error;
    gnatter_amqp_set(m, GNATTER_AMQP_DURABLE, gnatter_amqp_boolean(true));
    gnatter_amqp_set(m, GNATTER_AMQP_CONTENT_TYPE, gnatter_amqp_symbol("text/plain"));
    gnatter_amqp_add_data(m, text, strlen(text));
    error = gnatter_amqp_send_wait(sender, m, 10000, &outcome);
    if (error)
        fprintf(stderr, "amqp_send: %s: %s %s\n", gnatter_error_text(error), outcome.why.condition,
                outcome.why.description);
    gnatter_amqp_message_free(m);
    return error;
}

int main(int argc, char **argv)
{
    struct gnatter_amqp_options options;
    gnatter_amqp_options_init(&options);
    options.url = argc > 1 ? argv[1] : "amqp://localhost";
    struct gnatter_amqp_link link = {.address = argc > 2 ? argv[2] : "greetings"};
    gnatter_amqp *amqp = NULL;
    gnatter_amqp_sender *sender = NULL;
    int error = gnatter_amqp_new(&options, &amqp);
    if (!error)
        error = gnatter_amqp_connect(amqp, 10000);
    if (!error)
        error = gnatter_amqp_sender_new(amqp, &link, &sender);
    if (error)
        fprintf(stderr, "amqp_send: %s\n", gnatter_error_text(error));
    for (int i = 3; i < argc && !error; i++)
        error = send_text(sender, argv[i]);
    if (!error)
        printf("%d sent to %s\n", argc > 3 ? argc - 3 : 0, link.address);
    gnatter_amqp_free(amqp);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
