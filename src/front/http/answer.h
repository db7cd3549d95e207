/* What is answered to a request, for the files of this room only. */
#ifndef GNT_FRONT_HTTP_ANSWER_H
#define GNT_FRONT_HTTP_ANSWER_H

#include "front/http/front.h"
#include "net/http_head.h"

struct gnt_http_answer {
    unsigned status;
    const char *text;                 /* the body, but for HEAD */
    const struct gnt_http_path *path; /* with status 101: where to, */
    const char *protocol;             /* and what is spoken there */
};

/* READ is what reading the head came to: GNT_OK, or why it will not be whole. */
void gnt_http_decide(const struct gnt_http_head *head, gnt_err read,
                     const struct gnt_http_path *paths, const struct gnt_http_origins *origins,
                     struct gnt_http_answer *out);

/* Appends it as it is sent. */
GNT_MUST gnt_err gnt_http_put_answer(struct gnt_buf *out, const struct gnt_http_answer *answer,
                                     const struct gnt_http_head *head);

#endif
