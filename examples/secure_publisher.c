/* Publishes one message by TLS, trusting one CA and showing a certificate; says what was wrong.
 *
 *     secure_publisher URL CA PFX        secure_publisher mqtts://localhost ca.pem client.pfx
 */
#include <gnatter/mqtt.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: secure_publisher URL CA PFX\n");
        return EXIT_FAILURE;
    }
    struct gnatter_client_options options;
    gnatter_client_options_init(&options);
    options.url = argv[1];
    options.tls.ca_file = argv[2];
    options.tls.identity.pfx = argv[3];
    options.tls.identity.passphrase = getenv("PFX_PASSPHRASE");

    const struct gnatter_message hello = {
        .topic = "greetings", .payload = "hi", .payload_size = 2, .qos = 1};
    struct gnatter_client_info info = {.reason_string = ""};
    gnatter_client *client = NULL;
    int error = gnatter_client_new(&options, &client);
    if (!error) {
        error = gnatter_client_publish_wait(client, &hello, 10000, NULL);
        gnatter_client_get_info(client, &info); /* "the server's certificate: expired" */
    }
    if (!error)
        error = gnatter_client_disconnect(client, NULL, 1000);
    if (error)
        fprintf(stderr, "%s: %s: %s\n", argv[1], gnatter_error_text(error), info.reason_string);
    else
        printf("published to %s\n", hello.topic);
    gnatter_client_free(client);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
