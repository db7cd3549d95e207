/* What the files of the threaded client share.
 *
 * Three layers: the engine (mqtt/engine) knows MQTT; the link (client/base/link.h) knows how to get
 * a byte stream, and the dialer on it (client/base/dialer.h) when; the thread (thread.c) carries
 * bytes between the two, and calls back. */
#ifndef GNT_CLIENT_MQTT_CLIENT_H
#define GNT_CLIENT_MQTT_CLIENT_H

#include "client/base/dialer.h"
#include "mqtt/engine/client.h"

#include <gnatter/mqtt.h>

struct gnatter_engine_event;
struct gnt_client_login;

struct gnatter_client {
    struct gnt_thread thread;
    struct gnatter_client_options options; /* but for where to, which the link has, and mqtt */
    struct gnt_client *engine;
    struct gnt_client_login *login; /* by auth_method; NULL: there is none */

    struct gnt_dialer dialer;
    bool broken;    /* it cannot be written to; what has come is still read */
    uint8_t reason; /* why the last one ended */
    char reason_string[256], server_reference[256];
};

/* One request's way back to whoever made it. */
struct gnt_waiter {
    bool done;
    int error;
    uint8_t reason;
    uint8_t *codes; /* room for `cap`, or NULL */
    size_t cap;
};

struct gnt_completion {
    gnatter_on_done *done;
    void *context;
    struct gnt_waiter *waiter; /* NULL: it does not wait any more */
};

/* thread.c: the thread, and its part of the dialer's. */
void *gnt_client_run(void *client);
extern const struct gnt_dialer_ops gnt_client_dialing;

/* request.c: hands a DONE back; the lock is not held while a callback runs. */
void gnt_request_complete(gnatter_client *c, const struct gnatter_engine_event *event);

/* login.c: logging in by auth_method.  _new copies what it needs of OPTIONS, and gives *mqtt
 * instead of options->mqtt for the engine; PROPS belongs to it and is to be freed. */
GNT_MUST gnt_err gnt_client_login_new(const struct gnatter_client_options *options,
                                      struct gnatter_mqtt_options *mqtt,
                                      struct gnatter_property **props,
                                      struct gnt_client_login **out);
void gnt_client_login_free(struct gnt_client_login **login);

/* By the thread, with the lock: gnt_client_connect, and what comes of it.  _answer lets go of the
 * lock while it works.  _proved: whether the server, which is content, has proved who it is; if not
 * the engine has been told, and CLOSED comes. */
GNT_MUST gnt_err gnt_client_login_connect(gnatter_client *c, uint64_t now);
void gnt_client_login_answer(gnatter_client *c, const struct gnt_mqtt_props *props);
bool gnt_client_login_proved(gnatter_client *c, const struct gnt_mqtt_props *props);

/* By any thread, with the lock: begins anew. */
GNT_MUST gnt_err gnt_client_login_again(gnatter_client *c);

#endif
