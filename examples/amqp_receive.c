/* Prints the messages of an address, COUNT of them if that is given, and accepts each.
 *
 *     amqp_receive URL [ADDRESS [COUNT]]        amqp_receive amqp://localhost greetings 1
 */
#include <gnatter/amqp.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct gnatter_amqp_options options;
    gnatter_amqp_options_init(&options);
    options.url = argc > 1 ? argv[1] : "amqp://localhost";
    struct gnatter_amqp_link link = {.address = argc > 2 ? argv[2] : "greetings"};
    gnatter_amqp *amqp = NULL;
    gnatter_amqp_receiver *receiver = NULL;
    setlinebuf(stdout);

    int error = gnatter_amqp_new(&options, &amqp);
    if (!error)
        error = gnatter_amqp_receiver_new(amqp, &link, &receiver);
    for (long left = argc > 3 ? atol(argv[3]) : -1; !error && left != 0; left--) {
        gnatter_amqp_delivery *delivery = NULL;
        do
            error = gnatter_amqp_receive(receiver, 1000, &delivery);
        while (error == GNATTER_ETIMEOUT);
        if (error)
            break;
        struct gnatter_bytes body =
            gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(delivery));
        printf("%.*s\n", (int)body.size, (const char *)body.data);
        error = gnatter_amqp_accept(delivery);
    }
    if (error)
        fprintf(stderr, "amqp_receive: %s\n", gnatter_error_text(error));
    else
        error = gnatter_amqp_close(amqp, 1000);
    gnatter_amqp_free(amqp);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
