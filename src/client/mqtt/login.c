/* Logging in by SCRAM: the client thread's side of enhanced authentication [MQTT5 4.12]. */
#include "auth/scram.h"
#include "client/mqtt/client.h"
#include "client/mqtt/convert.h"

#include <stdlib.h>

struct gnt_client_login {
    enum gnt_scram_hash method;
    struct gnt_scram_client scram; /* the exchange that goes on, or was the last */
    size_t password_size;
    char *user;
    uint8_t password[];
};

/* ---- Options */

static gnt_err check(const struct gnatter_client_options *o)
{
    const struct gnatter_mqtt_options *mqtt = &o->mqtt;
    if (gnt_scram_by_name(gnt_slice_str(o->auth_method)) == GNT_SCRAM_HASHES)
        return GNT_UNSUPPORTED;
    bool good = mqtt->version == GNATTER_MQTT_5 &&
                gnt_scram_text_valid(gnt_slice_str(mqtt->username), GNT_SCRAM_NAME_MAX) &&
                mqtt->password.data && mqtt->password.size <= GNT_SCRAM_PASSWORD_MAX;
    return good ? GNT_OK : GNT_INVALID;
}

/* The user's properties, and the method. */
static struct gnatter_property *with_method(const struct gnatter_property_list *own,
                                            enum gnt_scram_hash method)
{
    const char *name = gnt_scram_name(method);
    struct gnatter_property *list = calloc(own->count + 1, sizeof *list);
    if (!list)
        return NULL;
    if (own->count)
        memcpy(list, own->list, own->count * sizeof *list);
    list[own->count] =
        (struct gnatter_property){.id = GNATTER_AUTH_METHOD, .text = {name, strlen(name)}};
    return list;
}

gnt_err gnt_client_login_new(const struct gnatter_client_options *options,
                             struct gnatter_mqtt_options *mqtt, struct gnatter_property **props,
                             struct gnt_client_login **out)
{
    gnt_err err = check(options);
    if (err)
        return err;
    const struct gnatter_bytes password = options->mqtt.password;
    struct gnt_client_login *login = calloc(1, sizeof *login + password.size);
    if (!login)
        return GNT_NOMEM;
    login->method = gnt_scram_by_name(gnt_slice_str(options->auth_method));
    login->password_size = password.size;
    memcpy(login->password, password.data, password.size);
    login->user = strdup(options->mqtt.username);
    *props = with_method(&options->mqtt.properties, login->method);
    if (!login->user || !*props) {
        gnt_client_login_free(&login);
        return GNT_NOMEM; /* PROPS is the caller's in any case */
    }
    mqtt->properties.list = *props;
    mqtt->properties.count++;
    mqtt->username = NULL;
    mqtt->password = (struct gnatter_bytes){NULL, 0};
    *out = login;
    return GNT_OK;
}

void gnt_client_login_free(struct gnt_client_login **login)
{
    struct gnt_client_login *gone = *login;
    *login = NULL;
    if (!gone)
        return;
    gnt_scram_client_fini(&gone->scram);
    gnt_scram_wipe(gone->password, gone->password_size);
    free(gone->user);
    free(gone);
}

/* ---- An exchange */

/* A new one: its first message in OUT, and itself in *scram. */
static gnt_err begin(const struct gnt_client_login *login, struct gnt_scram_client *scram,
                     struct gnt_buf *out)
{
    *scram = (struct gnt_scram_client){.answered = false};
    return gnt_scram_client_begin(scram, login->method, gnt_slice_str(login->user),
                                  &gnt_random_system, out);
}

static gnt_err say(gnatter_client *c, uint8_t code, struct gnt_slice data)
{
    const struct gnt_mqtt_prop list[] = {
        {.row = GNT_PROP_AUTH_METHOD, .text = gnt_slice_str(gnt_scram_name(c->login->method))},
        {.row = GNT_PROP_AUTH_DATA, .text = data},
    };
    const struct gnt_mqtt_proplist props = {.list = list, .count = sizeof list / sizeof list[0]};
    return gnt_client_auth(c->engine, code, &props);
}

gnt_err gnt_client_login_connect(gnatter_client *c, uint64_t now)
{
    struct gnt_client_login *login = c->login;
    struct gnt_buf first = {0};
    if (!login)
        return gnt_client_connect(c->engine, now);
    gnt_scram_client_fini(&login->scram);
    gnt_err err = begin(login, &login->scram, &first);
    if (!err)
        err = gnt_client_connect_with(c->engine, gnt_buf_slice(&first), now);
    gnt_buf_fini(&first);
    return err;
}

gnt_err gnt_client_login_again(gnatter_client *c)
{
    struct gnt_scram_client scram;
    struct gnt_buf first = {0};
    if (!c->login)
        return GNT_INVALID;
    gnt_err err = begin(c->login, &scram, &first);
    if (!err)
        err = say(c, GNT_REASON_RE_AUTHENTICATE, gnt_buf_slice(&first));
    gnt_buf_fini(&first);
    if (err) {
        gnt_scram_client_fini(&scram);
        return err;
    }
    gnt_scram_client_fini(&c->login->scram);
    c->login->scram = scram;
    return GNT_OK;
}

/* The server is not who it should be, or does not know SCRAM. */
static void reject(gnatter_client *c, gnt_err err)
{
    gnt_client_reject(c->engine, err == GNT_MALFORMED ? GNT_PROTOCOL : err,
                      GNT_REASON_UNSPECIFIED_ERROR);
}

/* While this goes on nobody else begins an exchange: the engine would not let them. */
void gnt_client_login_answer(gnatter_client *c, const struct gnt_mqtt_props *props)
{
    struct gnt_client_login *login = c->login;
    struct gnt_buf answer = {0};
    pthread_mutex_unlock(&c->thread.lock);
    gnt_err err =
        gnt_scram_client_answer(&login->scram, gnt_mqtt_text(props, GNT_PROP_AUTH_DATA),
                                gnt_slice(login->password, login->password_size), &answer);
    pthread_mutex_lock(&c->thread.lock);
    if (!err)
        err = say(c, GNT_REASON_CONTINUE_AUTHENTICATION, gnt_buf_slice(&answer));
    if (err && err != GNT_STATE) /* it may have been stopped meanwhile */
        reject(c, err);
    gnt_buf_fini(&answer);
}

bool gnt_client_login_proved(gnatter_client *c, const struct gnt_mqtt_props *props)
{
    if (!c->login)
        return true;
    gnt_err err =
        gnt_scram_client_verify(&c->login->scram, gnt_mqtt_text(props, GNT_PROP_AUTH_DATA));
    if (err)
        reject(c, err == GNT_MALFORMED ? GNT_DENIED : err);
    return !err;
}
