#include "front/amqp/peer.h"

#include "auth/users.h"

#include <stdlib.h>

gnt_err gnt_amqp_front_init(struct gnt_amqp_front *front, struct gnt_amqp_shared *shared,
                            struct gnt_loop *loop, struct gnt_home *home)
{
    *front = (struct gnt_amqp_front){
        .shared = shared, .loop = loop, .home = home, .limits = shared->limits};
    gnt_list_init(&front->peers);
    gnt_list_init(&front->dirty);
    gnt_task_init(&front->flush, gnt_amqp_peer_flush);
    gnt_list_init(&front->paused);
    gnt_list_init(&front->held);
    gnt_list_init(&front->held_until.link);
    front->held_until.safe = gnt_amqp_peer_hear_held;
    gnt_work_init(&front->review, gnt_amqp_peer_review);
    front->suspended_due.fire = gnt_suspended_on_time;
    front->read_buffer = malloc(GNT_PEER_READ_SIZE);
    gnt_err err = front->read_buffer ? GNT_OK : GNT_NOMEM;
    return err ? err : gnt_loop_set_timer(loop, &front->suspended_due, GNT_FAR);
}

void gnt_amqp_front_fini(struct gnt_amqp_front *front)
{
    if (!front->shared)
        return;
    front->stopping = true;
    gnt_list_each_safe (link, &front->peers)
        gnt_amqp_peer_drop(GNT_CONTAINER(link, struct gnt_amqp_peer, link));
    gnt_suspended_drop(front);
    gnt_keep_cancel(&front->held_until);
    gnt_task_cancel(&front->flush);
    gnt_work_cancel(&front->review);
    gnt_users_unref(&front->users);
    gnt_buf_fini(&front->scratch);
    free(front->read_buffer);
    front->read_buffer = NULL;
}

void gnt_amqp_front_configure(struct gnt_amqp_front *front, const struct gnt_amqp_limits *limits)
{
    front->limits = *limits;
    front->terms = NULL; /* they live as long as peers that have them */
}

void gnt_amqp_front_take_users(struct gnt_amqp_front *front, struct gnt_users **users)
{
    gnt_users_unref(&front->users);
    front->users = *users;
    *users = NULL;
}

void gnt_amqp_front_review(struct gnt_amqp_front *front)
{
    front->review_round++;
    gnt_home_later(front->home, &front->review);
}

void gnt_amqp_front_stop(struct gnt_amqp_front *front)
{
    front->stopping = true;
    gnt_list_each_safe (link, &front->peers)
        gnt_amqp_peer_shut_down(GNT_CONTAINER(link, struct gnt_amqp_peer, link));
}

bool gnt_amqp_front_idle(const struct gnt_amqp_front *front)
{
    return gnt_list_empty(&front->peers);
}
