/* A service without a broker: answers requests in capital letters, until its input ends. */
#include <gnatter/amqp_container.h>

#include <ctype.h>
#include <stdio.h>

static void shout(gnatter_amqp_delivery *request, void *context)
{
    struct gnatter_bytes said = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(request));
    gnatter_amqp_message *answer = context;
    char text[256];
    size_t size = 0;
    for (; size < said.size && size < sizeof text; size++)
        text[size] = (char)toupper(((const unsigned char *)said.data)[size]);
    gnatter_amqp_clear_body(answer);
    gnatter_amqp_add_data(answer, text, size);
    gnatter_amqp_reply(request, answer);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "amqp://127.0.0.1";
    struct gnatter_amqp_container_options options;
    struct gnatter_amqp_node node = {.address = "shout", .on_request = shout};
    gnatter_amqp_container *container;
    char problem[200] = "";
    gnatter_amqp_container_options_init(&options);
    options.listeners = &url;
    options.listener_count = 1;
    options.problem = problem;
    options.problem_size = sizeof problem;
    if (gnatter_amqp_container_new(&options, &container) ||
        gnatter_amqp_message_new((gnatter_amqp_message **)&node.context) ||
        gnatter_amqp_container_add(container, &node) || gnatter_amqp_container_start(container))
        return fprintf(stderr, "amqp_service: cannot start: %s\n", problem), 1;
    printf("shouting at %s\n", gnatter_amqp_container_url(container, 0));
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    gnatter_amqp_container_free(container);
    gnatter_amqp_message_free(node.context);
}
