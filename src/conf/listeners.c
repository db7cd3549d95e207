/* What the configuration says about listeners. */
#include "conf/listeners.h"

#include "conf/config.h"
#include "conf/url.h"

static gnt_err check_url(const char *text, struct gnt_why *why)
{
    struct gnt_url url;
    gnt_err err = gnt_url_parse(text, &url, why);
    if (err || (url.scheme->kind != GNT_URL_WEBSOCKET && !url.scheme->tls))
        return err;
    gnt_why_set(why, "WebSockets are at the path /mqtt of an http listener, such as "
                     "http://127.0.0.1:8080");
    return GNT_INVALID;
}

/* As browsers write it: no path, and nothing that has to be decoded. */
static gnt_err check_origin(const char *text, struct gnt_why *why)
{
    const char *host = strstr(text, "://");
    bool word = strcmp(text, "*") == 0 || strcmp(text, "null") == 0;
    if (word || (host && host != text && host[3] && !strpbrk(host + 3, "/?# ")))
        return GNT_OK;
    gnt_why_set(why, "expected an origin such as https://example.com, null, or * for any");
    return GNT_INVALID;
}

static const struct gnt_option listener_rows[] = {
    {.path = "url",
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct gnt_config_listener, url),
     .check = check_url,
     .required = true,
     .restart = true,
     .metavar = "URL",
     .help = "Where to listen: SCHEME://HOST:PORT. mqtt is MQTT, on port 1883 unless named; http, "
             "on port 80 unless named, is MQTT over WebSocket at its path /mqtt. Without a host: "
             "on all addresses. Port 0: any free one."},
    {.path = "origins",
     .kind = GNT_OPTION_STRINGS,
     GNT_OPTION_FIELD(struct gnt_config_listener, origins),
     .check = check_origin,
     .restart = true,
     .metavar = "ORIGIN",
     .help = "Whose web pages may connect by WebSocket, such as https://example.com; null is pages "
             "without an origin, as those of files, and * any page at all. Without the list: pages "
             "from this very address, of which on a loopback address only localhost and numeric "
             "ones count. Clients that are no web pages are not asked."},
};

const struct gnt_option_table gnt_listener_table =
    GNT_OPTION_TABLE(struct gnt_config_listener, listener_rows);

bool gnt_config_on_loopback(const struct gnt_config *config)
{
    struct gnt_url url;
    struct gnt_why why;
    for (size_t i = 0; i < config->listeners.count; i++)
        if (gnt_url_parse(config->listeners.items[i].url, &url, &why) || !gnt_url_is_loopback(&url))
            return false;
    return true;
}

bool gnt_config_anonymous(const struct gnt_config *config)
{
    if (config->allow_anonymous != GNT_ANONYMOUS_LOOPBACK)
        return config->allow_anonymous == GNT_ANONYMOUS_YES;
    /* Without users a listener that is open to others is refused. */
    return !gnt_config_users(config) || gnt_config_on_loopback(config);
}
