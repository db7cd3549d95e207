/* Between the files that find out who a client is:
 *   login.c        what it takes to be let in, passwords, the verdict
 *   login_scram.c  SCRAM
 *   login_ask.c    a program that has the broker inside: what it is asked, and told
 * What does not depend on the protocol is in the lobby (front/base/lobby.h). */
#ifndef GNT_FRONT_MQTT_LOGIN_PRIVATE_H
#define GNT_FRONT_MQTT_LOGIN_PRIVATE_H

#include "front/mqtt/connection.h"

/* While the client is asked who it is. */
struct gnt_login_asking {
    struct gnt_buf connect;        /* its CONNECT, until that is answered */
    struct gnt_lobby_check *check; /* at the hasher, or: */
    struct gnt_scram_server scram;
    bool asked; /* for the first message, which did not come with CONNECT or 0x19 */
    bool begun; /* the first message has come */
};

/* What the client will be told, and how often it was listened to meanwhile. */
struct gnt_login_held {
    uint64_t until;
    unsigned listened;
    uint8_t reason;
    char why[48]; /* "": the reason's own words */
};

struct gnt_login {
    char *user;                 /* NULL: anonymous, or not known yet */
    const char *by;             /* what it has shown that with; NULL: nothing yet */
    enum gnt_scram_hash method; /* which its CONNECT has named, if it has */
    struct gnt_login_asking *asking;
    struct gnt_login_held *held; /* NULL: no answer is held back */
    char *client;                /* its id, for the program that is told of it; NULL: none is */
    bool told;                   /* that it has come */
};

/* ---- login.c */

/* c->login is there from here on.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_login_make(struct gnt_mqtt_connection *c);

/* What it was asked, and has said, is forgotten. */
void gnt_login_stop_asking(struct gnt_login *login);

/* The client is not who it says, for REASON and WHY (NULL: the reason's own words), which may be
 * told later only.  USER: whom it says. */
void gnt_login_refuse(struct gnt_mqtt_connection *c, uint8_t reason, struct gnt_slice user,
                      const char *why);

/* Its address has been blocked meanwhile, so nothing that it says matters. */
void gnt_login_refuse_unheard(struct gnt_mqtt_connection *c);

/* The client has shown who it is, BY what: its CONNECT is answered, and AUTH_DATA is the method's
 * last word. */
void gnt_login_let_in(struct gnt_mqtt_connection *c, const char *by, struct gnt_slice auth_data);

/* Its CONNECT, which is kept while it is asked. */
void gnt_login_recall(const struct gnt_mqtt_connection *c, struct gnt_mqtt_packet *out);

/* Whether nothing is looked at that comes from the client's address. */
bool gnt_login_is_blocked(const struct gnt_mqtt_connection *c);

/* What has come of a check (a gnt_lobby_answer); the owner is the connection. */
void gnt_login_on_checked(struct gnt_lobby_check *check, void *owner);

/* The client is looked at as if no program had been asked. */
void gnt_login_usual(struct gnt_mqtt_connection *c);

/* ---- login_scram.c */

/* GNT_SCRAM_HASHES: the packet names no method of ours. */
enum gnt_scram_hash gnt_login_method(const struct gnt_mqtt_props *props);

/* What the client says in its CONNECT or an AUTH. */
void gnt_login_hear(struct gnt_mqtt_connection *c, const struct gnt_mqtt_props *props);

/* ---- login_ask.c */

/* Whether there is a program that wants to be asked. */
bool gnt_login_has_program(const struct gnt_mqtt_connection *c);

/* Asks it about a client without an authentication method. */
GNT_MUST gnt_err gnt_login_ask(struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p);

/* It has answered. */
void gnt_login_heed(struct gnt_mqtt_connection *c, const struct gnt_lobby_check *check);

#endif
