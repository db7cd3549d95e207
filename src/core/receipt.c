#include "core/receipt.h"

#include "base/assert.h"

#include <stdlib.h>

void gnt_receipt_release(struct gnt_home *home, struct gnt_receipt *r)
{
    GNT_ASSERT(r->outstanding > 0);
    if (--r->outstanding == 0)
        gnt_home_later(home, &r->settled);
}

/* A receipt's stand-in at another home: goes there with the message, and back. */
struct slip {
    struct gnt_receipt receipt; /* held by whoever holds the message there */
    struct gnt_receipt *original;
    struct gnt_passing passing; /* with a reference, until it has been delivered */
    void (*deliver)(struct gnt_home *home, const struct gnt_passing *passing,
                    struct gnt_receipt *receipt);
    struct gnt_list link; /* in home->slips, while it is held */
    struct gnt_owed owed;
};

/* At the publisher's home. */
static void on_slip_back(const struct gnt_mail *mail)
{
    struct slip *slip = mail->object;
    if (slip->receipt.outcome == GNT_FAILED)
        gnt_receipt_fail(slip->original);
    else if (slip->receipt.outcome == GNT_QUOTA)
        gnt_receipt_refuse(slip->original);
    gnt_receipt_release(mail->to, slip->original);
    free(slip);
}

static void send_back(struct gnt_home *home, struct slip *slip)
{
    gnt_list_remove(&slip->link);
    gnt_home_mail_surely(home, slip->passing.from, on_slip_back, slip, &slip->owed);
}

static void on_settled(struct gnt_home *home, struct gnt_work *work)
{
    send_back(home, GNT_CONTAINER(work, struct slip, receipt.settled));
}

static void on_slip(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct slip *slip = mail->object;
    gnt_list_push_back(&home->slips, &slip->link);
    gnt_receipt_hold(&slip->receipt); /* so that it is not given before everybody has been asked */
    slip->deliver(home, &slip->passing, &slip->receipt);
    gnt_message_unref(&slip->passing.message);
    if (--slip->receipt.outstanding == 0)
        send_back(home, slip);
}

gnt_err gnt_slip_mail(struct gnt_home *home, unsigned to, const struct gnt_passing *passing,
                      struct gnt_receipt *receipt,
                      void (*deliver)(struct gnt_home *home, const struct gnt_passing *passing,
                                      struct gnt_receipt *receipt))
{
    struct slip *slip = calloc(1, sizeof *slip);
    if (!slip)
        return GNT_NOMEM;
    slip->original = receipt;
    slip->passing = *passing;
    gnt_message_ref(passing->message);
    slip->deliver = deliver;
    gnt_list_init(&slip->link);
    gnt_work_init(&slip->receipt.settled, on_settled);
    gnt_err err = gnt_home_mail(home, to, on_slip, slip, 0, 0);
    if (err) {
        gnt_message_unref(&slip->passing.message);
        free(slip);
        return err;
    }
    gnt_receipt_hold(receipt);
    return GNT_OK;
}

void gnt_slips_free(struct gnt_home *home)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(&home->slips));) {
        struct slip *slip = GNT_CONTAINER(link, struct slip, link);
        gnt_receipt_release(&home->homes[slip->passing.from], slip->original);
        gnt_work_cancel(&slip->receipt.settled);
        free(slip);
    }
}
