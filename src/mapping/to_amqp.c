#include "mapping/form.h"

#include <stdlib.h>

/* The pieces of FORM that are the payload, in their order. */
enum { PIECES = 6 };

static void pieces_of(const struct gnt_mapping_form *form, struct gnt_slice out[PIECES])
{
    const struct gnt_slice pieces[PIECES] = {
        form->message_annotations, form->properties, form->application_properties,
        form->body_head,           form->body,       form->footer};
    memcpy(out, pieces, sizeof pieces);
}

static struct gnt_slice put(uint8_t **at, struct gnt_slice bytes)
{
    if (bytes.size)
        memcpy(*at, bytes.data, bytes.size);
    const struct gnt_slice copy = gnt_slice(*at, bytes.size);
    *at += bytes.size;
    return copy;
}

/* A message that owns the one buffer in which topic, payload and header are. */
static gnt_err message_of(const struct gnt_mapping_form *form, const struct gnt_message *origin,
                          struct gnt_message **out)
{
    struct gnt_slice pieces[PIECES];
    pieces_of(form, pieces);
    size_t size = 0;
    for (int i = 0; i < PIECES; i++)
        size += pieces[i].size;
    uint8_t *buffer = malloc(origin->topic.size + size + form->header.size + 1), *at = buffer;
    if (!buffer)
        return GNT_NOMEM;
    struct gnt_message_init init = {.format = GNT_EXTRAS_AMQP,
                                    .qos = origin->qos,
                                    .retain = origin->retain,
                                    .publisher = origin->publisher,
                                    .expires = origin->expires};
    init.topic = put(&at, origin->topic);
    init.payload = gnt_slice(at, size);
    for (int i = 0; i < PIECES; i++)
        (void)put(&at, pieces[i]);
    init.extras = put(&at, form->header);
    gnt_err err = gnt_message_adopt(&buffer, &init, out);
    free(buffer);
    return err;
}

static bool has_reserved(const struct gnt_mapping_view *view)
{
    for (size_t i = 0; i < view->user_count; i++)
        if (gnt_mapping_is_reserved(view->user[i].name))
            return true;
    return false;
}

/* Whether MQTT is what comes of converting AMQP back; GNT_OK: it is. */
static gnt_err comes_back(struct gnt_arena *a, const struct gnt_message *mqtt,
                          const struct gnt_message *amqp)
{
    struct gnt_message *back = NULL;
    gnt_err err = gnt_mapping_to_mqtt(amqp, &back);
    struct gnt_mapping_view was, is;
    if (!err)
        err = gnt_mapping_view(a, mqtt, &was);
    if (!err)
        err = gnt_mapping_view(a, back, &is);
    if (!err && !gnt_mapping_view_same(&was, &is))
        err = GNT_MALFORMED;
    gnt_message_unref(&back); /* `is` borrows from it, and is not looked at any more */
    return err;
}

/* As the reserved user properties have it; GNT_MALFORMED, GNT_TOOBIG: they are not to be believed.
 */
static gnt_err believe(struct gnt_arena *a, struct gnt_mapping_view view,
                       const struct gnt_message *mqtt, struct gnt_message **out)
{
    struct gnt_mapping_reserved reserved;
    struct gnt_mapping_form form;
    struct gnt_message *amqp = NULL;
    gnt_err err = gnt_mapping_view_split(a, &view, &reserved);
    if (!err)
        err = gnt_mapping_form(a, &view, &reserved, &form);
    if (!err)
        err = message_of(&form, mqtt, &amqp);
    if (!err)
        err = comes_back(a, mqtt, amqp);
    if (err)
        gnt_message_unref(&amqp);
    *out = amqp;
    return err;
}

static gnt_err convert(struct gnt_arena *a, const struct gnt_message *mqtt,
                       struct gnt_message **out)
{
    struct gnt_mapping_view view;
    gnt_err err = gnt_mapping_view(a, mqtt, &view);
    if (err)
        return err;
    if (has_reserved(&view)) {
        err = believe(a, view, mqtt, out);
        if (err == GNT_OK || err == GNT_NOMEM)
            return err;
    }
    const struct gnt_mapping_reserved none = {0};
    struct gnt_mapping_form form;
    err = gnt_mapping_form(a, &view, &none, &form);
    return err ? err : message_of(&form, mqtt, out);
}

gnt_err gnt_mapping_to_amqp(const struct gnt_message *mqtt, struct gnt_message **out)
{
    struct gnt_arena a = {0};
    *out = NULL;
    gnt_err err = convert(&a, mqtt, out);
    gnt_arena_fini(&a);
    return err;
}
