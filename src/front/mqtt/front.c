#include "front/mqtt/front.h"
#include "front/mqtt/connection.h"
#include "front/mqtt/withhold.h"

#include "auth/users.h"

#include <stdlib.h>

gnt_err gnt_mqtt_front_init(struct gnt_mqtt_front *front, struct gnt_mqtt_shared *shared,
                            struct gnt_loop *loop, struct gnt_home *home)
{
    *front = (struct gnt_mqtt_front){
        .shared = shared, .loop = loop, .home = home, .limits = shared->limits};
    gnt_list_init(&front->connections);
    gnt_list_init(&front->paused);
    gnt_list_init(&front->settling);
    gnt_list_init(&front->dirty);
    gnt_list_init(&front->bulk);
    gnt_task_init(&front->flush, gnt_connection_flush);
    gnt_list_init(&front->held);
    gnt_list_init(&front->held_until.link);
    front->held_until.safe = gnt_connection_hear_held;
    gnt_list_init(&front->working);
    gnt_work_init(&front->work, gnt_connection_work);
    front->read_buffer = malloc(GNT_MQTT_READ_SIZE);
    return front->read_buffer ? GNT_OK : GNT_NOMEM;
}

void gnt_mqtt_front_fini(struct gnt_mqtt_front *front)
{
    gnt_list_each_safe (link, &front->connections)
        gnt_connection_drop(GNT_CONTAINER(link, struct gnt_mqtt_connection, link));
    gnt_withhold_fini(front);
    gnt_keep_cancel(&front->held_until);
    gnt_map_fini(&front->gates);
    gnt_work_cancel(&front->work);
    gnt_task_cancel(&front->flush);
    gnt_users_unref(&front->users);
    gnt_buf_fini(&front->extras);
    free(front->read_buffer);
    front->read_buffer = NULL;
}

void gnt_mqtt_front_configure(struct gnt_mqtt_front *front, const struct gnt_mqtt_limits *limits)
{
    front->limits = *limits;
    front->terms = NULL; /* they live as long as connections that have them */
    if (!limits->moved.to[0] || !limits->moved.all)
        return;
    gnt_list_each_safe (link, &front->connections) {
        struct gnt_mqtt_connection *c = GNT_CONTAINER(link, struct gnt_mqtt_connection, link);
        if (c->engine.state == GNT_MQTT_OPEN) /* others hear it when they connect */
            gnt_connection_refer(c);
    }
}

void gnt_mqtt_front_take_users(struct gnt_mqtt_front *front, struct gnt_users **users)
{
    gnt_users_unref(&front->users);
    front->users = *users;
    *users = NULL;
}

void gnt_mqtt_front_stop(struct gnt_mqtt_front *front)
{
    front->stopping = true;
    gnt_list_each_safe (link, &front->connections)
        gnt_connection_shut_down(GNT_CONTAINER(link, struct gnt_mqtt_connection, link));
}

bool gnt_mqtt_front_idle(const struct gnt_mqtt_front *front)
{
    return gnt_list_empty(&front->connections);
}
