/* A piece of mail: something to be done by the thread that owns TO.  Small and copied by value. */
#ifndef GNT_BASE_MAIL_H
#define GNT_BASE_MAIL_H

#include <stdint.h>

struct gnt_mail {
    void (*run)(const struct gnt_mail *mail);
    void *to;     /* the receiver's object */
    void *object; /* given away with the mail */
    uint64_t value, other;
};

#endif
