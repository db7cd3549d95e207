/* A client of somebody else's: nobody listens on port 1, and it is told so. */
#include <gnatter/mqtt.h>

int main(void)
{
    struct gnatter_client_options options;
    gnatter_client *client;
    gnatter_client_options_init(&options);
    options.host = "127.0.0.1";
    options.port = 1;
    if (gnatter_client_new(&options, &client) != 0)
        return 1;
    int err = gnatter_client_connect(client, 5000);
    gnatter_client_free(client);
    return err == GNATTER_EREFUSED ? 0 : 1;
}
