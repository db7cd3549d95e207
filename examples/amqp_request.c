/* Asks a service at an address, and prints its answer; or is that service.
 *
 *     amqp_request URL ADDRESS TEXT        asks: the answer comes to an address made for it
 *     amqp_request URL ADDRESS             answers one request, in capital letters
 */
#include <gnatter/amqp.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 10000 };

static int ask(gnatter_amqp *amqp, const char *address, const char *text)
{
    gnatter_amqp_sender *sender;
    gnatter_amqp_receiver *replies;
    gnatter_amqp_delivery *answer;
    gnatter_amqp_message *m;
    struct gnatter_amqp_link_info info;
    int error =
        gnatter_amqp_receiver_new(amqp, &(struct gnatter_amqp_link){.dynamic = true}, &replies);
    if (!error)
        error =
            gnatter_amqp_sender_new(amqp, &(struct gnatter_amqp_link){.address = address}, &sender);
    if (!error)
        error = gnatter_amqp_receiver_ready(replies, PATIENCE_MS);
    if (!error)
        error = gnatter_amqp_message_new(&m);
    if (error)
        return error;
    gnatter_amqp_receiver_get_info(replies, &info);
    gnatter_amqp_set(m, GNATTER_AMQP_REPLY_TO, gnatter_amqp_string(info.address));
    gnatter_amqp_set(m, GNATTER_AMQP_MESSAGE_ID, gnatter_amqp_ulong(1));
    gnatter_amqp_set_value(m, gnatter_amqp_string(text));
    error = gnatter_amqp_send_wait(sender, m, PATIENCE_MS, NULL);
    gnatter_amqp_message_free(m);
    if (!error)
        error = gnatter_amqp_receive(replies, PATIENCE_MS, &answer);
    if (error)
        return error;
    struct gnatter_bytes body = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(answer));
    printf("%.*s\n", (int)body.size, (const char *)body.data);
    return gnatter_amqp_accept(answer);
}

static int reply(gnatter_amqp *amqp, gnatter_amqp_message *request)
{
    gnatter_amqp_sender *sender;
    gnatter_amqp_message *m;
    struct gnatter_amqp_value to, id;
    struct gnatter_bytes body = gnatter_amqp_body_bytes(request);
    char text[256];
    size_t size = body.size < sizeof text ? body.size : sizeof text;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)toupper(((const unsigned char *)body.data)[i]);
    if (!gnatter_amqp_get(request, GNATTER_AMQP_REPLY_TO, &to))
        return GNATTER_EINVALID;
    gnatter_amqp_get(request, GNATTER_AMQP_MESSAGE_ID, &id);
    char address[256] = "";
    memcpy(address, to.bytes.data, to.bytes.size < 255 ? to.bytes.size : 255);
    int error =
        gnatter_amqp_sender_new(amqp, &(struct gnatter_amqp_link){.address = address}, &sender);
    if (!error)
        error = gnatter_amqp_message_new(&m);
    if (error)
        return error;
    gnatter_amqp_set(m, GNATTER_AMQP_CORRELATION_ID, id);
    gnatter_amqp_add_data(m, text, size);
    error = gnatter_amqp_send_wait(sender, m, PATIENCE_MS, NULL);
    gnatter_amqp_message_free(m);
    return error;
}

static int serve(gnatter_amqp *amqp, const char *address)
{
    gnatter_amqp_receiver *receiver;
    gnatter_amqp_delivery *request;
    int error =
        gnatter_amqp_receiver_new(amqp, &(struct gnatter_amqp_link){.address = address}, &receiver);
    if (!error)
        error = gnatter_amqp_receive(receiver, PATIENCE_MS, &request);
    if (!error)
        error = reply(amqp, gnatter_amqp_delivery_message(request));
    return error ? error : gnatter_amqp_accept(request);
}

int main(int argc, char **argv)
{
    struct gnatter_amqp_options options;
    gnatter_amqp_options_init(&options);
    options.url = argc > 1 ? argv[1] : "amqp://localhost";
    const char *address = argc > 2 ? argv[2] : "shout";
    gnatter_amqp *amqp = NULL;
    int error = gnatter_amqp_new(&options, &amqp);
    if (!error)
        error = argc > 3 ? ask(amqp, address, argv[3]) : serve(amqp, address);
    if (!error)
        error = gnatter_amqp_close(amqp, 1000);
    if (error)
        fprintf(stderr, "amqp_request: %s\n", gnatter_error_text(error));
    gnatter_amqp_free(amqp);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
