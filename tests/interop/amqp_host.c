/* A container for peers that are not ours: amqp_host URL.  Says where it listens, and ends with its
 * input.  Where the environment has AMQP_PEM (certificate and key), it is there for amqps.
 *
 *   in      takes messages: "bad" is rejected, "later" released, "elsewhere" modified, others
 *           accepted
 *   echo    answers requests with their own body
 *   out     has the messages 0 to 9 for each receiver
 *   users   takes messages of "user", whose password is "secret", alone */
#include <gnatter/amqp_container.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 10, PEERS = 64 };

static bool is(struct gnatter_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static void take(gnatter_amqp_delivery *d, void *context)
{
    struct gnatter_bytes body = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(d));
    (void)context;
    if (is(body, "bad"))
        gnatter_amqp_reject(d, "test:bad", "not so");
    else if (is(body, "later"))
        gnatter_amqp_release(d);
    else if (is(body, "elsewhere"))
        gnatter_amqp_modify(d, true, true, NULL);
    else
        gnatter_amqp_accept(d);
}

static void echo(gnatter_amqp_delivery *request, void *context)
{
    gnatter_amqp_message *answer;
    struct gnatter_amqp_value body;
    (void)context;
    if (gnatter_amqp_message_new(&answer)) {
        gnatter_amqp_release(request);
        return;
    }
    if (gnatter_amqp_body_at(gnatter_amqp_delivery_message(request), 0, &body))
        gnatter_amqp_set_value(answer, body);
    gnatter_amqp_reply(request, answer);
    gnatter_amqp_message_free(answer);
}

/* How far each receiver has got. */
static struct {
    gnatter_amqp_sender *sender;
    int next;
} progress[PEERS];

static void go_on(gnatter_amqp_sender *sender, uint32_t credit, bool drain, void *context)
{
    int at = 0;
    (void)drain;
    (void)context;
    while (at < PEERS && progress[at].sender != sender)
        at++;
    for (int i = 0; at == PEERS && i < PEERS; i++)
        at = progress[i].sender ? at : i;
    if (at == PEERS)
        return;
    progress[at].sender = sender;
    for (; credit && progress[at].next < MESSAGES; credit--) {
        gnatter_amqp_message *m;
        if (gnatter_amqp_message_new(&m))
            return;
        gnatter_amqp_set_value(m, gnatter_amqp_int(progress[at].next++));
        gnatter_amqp_send(sender, m, NULL, NULL);
        gnatter_amqp_message_free(m);
    }
}

static void forget(gnatter_amqp_sender *sender, void *context)
{
    (void)context;
    for (int i = 0; i < PEERS; i++) {
        if (progress[i].sender == sender)
            memset(&progress[i], 0, sizeof progress[i]);
    }
}

static bool login(const char *user, const char *password, void *context)
{
    (void)context;
    return strcmp(user, "user") == 0 && strcmp(password, "secret") == 0;
}

static enum gnatter_amqp_answer decide(const struct gnatter_amqp_wish *wish,
                                       struct gnatter_amqp_node *node,
                                       struct gnatter_amqp_error *why, void *context)
{
    (void)context;
    if (strcmp(wish->address, "users") != 0)
        return GNATTER_AMQP_USUAL;
    node->on_message = take;
    snprintf(why->description, sizeof why->description, "users only");
    return strcmp(wish->user, "user") == 0 ? GNATTER_AMQP_HERE : GNATTER_AMQP_REFUSE;
}

int main(int argc, char **argv)
{
    static const struct gnatter_amqp_node nodes[] = {
        {.address = "in", .on_message = take},
        {.address = "echo", .on_request = echo},
        {.address = "out", .on_wanted = go_on, .on_unwanted = forget},
    };
    const char *url = argc > 1 ? argv[1] : "amqp://127.0.0.1:0";
    struct gnatter_amqp_container_options options;
    gnatter_amqp_container *container = NULL;
    gnatter_amqp_container_options_init(&options);
    options.listeners = &url;
    options.listener_count = 1;
    options.message_max = 64 << 20;
    options.allow_anonymous = true;
    options.on_login = login;
    options.on_link = decide;
    options.tls.identity.certificate = getenv("AMQP_PEM");
    int error = gnatter_amqp_container_new(&options, &container);
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0] && !error; i++)
        error = gnatter_amqp_container_add(container, &nodes[i]);
    if (!error)
        error = gnatter_amqp_container_start(container);
    if (error) {
        fprintf(stderr, "amqp_host: %s\n", gnatter_error_text(error));
        return EXIT_FAILURE;
    }
    printf("%s\n", gnatter_amqp_container_url(container, 0));
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    gnatter_amqp_container_free(container);
    return EXIT_SUCCESS;
}
