/* A broker in somebody else's program, in three calls. */
#include <gnatter/broker.h>

int main(void)
{
    static const char *const any_port[] = {"mqtt://127.0.0.1:0"};
    struct gnatter_broker_options options;
    gnatter_broker *broker;
    gnatter_broker_options_init(&options);
    options.listeners = any_port;
    options.listener_count = 1;
    if (gnatter_broker_new(&options, &broker) != 0)
        return 1;
    int err = gnatter_broker_start(broker);
    gnatter_broker_free(broker);
    return err ? 1 : 0;
}
