/* What the configuration says about listeners. */
#include "conf/listeners.h"

#include "base/network.h"
#include "conf/config.h"
#include "conf/url.h"

static gnt_err check_url(const char *text, struct gnt_why *why)
{
    struct gnt_url url;
    gnt_err err = gnt_url_parse(text, &url, why);
    if (err || url.scheme->kind != GNT_URL_WEBSOCKET)
        return err;
    const char *scheme = url.scheme->tls ? "https" : "http";
    gnt_why_set(why,
                "WebSockets are at the paths /mqtt and /amqp of an %s listener, such as "
                "%s://127.0.0.1:%s",
                scheme, scheme, url.scheme->tls ? "8443" : "8080");
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

static gnt_err check_proxy(const char *text, struct gnt_why *why)
{
    struct gnt_network network;
    const char *problem;
    gnt_err err = gnt_network_parse(text, &network, &problem);
    if (err)
        gnt_why_set(why, "%s", problem);
    return err;
}

static gnt_err check_mode(const char *text, struct gnt_why *why)
{
    size_t digits = strspn(text, "01234567");
    if (text[digits] == '\0' && (digits == 3 || (digits == 4 && *text == '0')))
        return GNT_OK;
    gnt_why_set(why, "expected the mode of a file in octal, such as 0660");
    return GNT_INVALID;
}

/* Who can list the processes sees the words of the command line. */
gnt_err gnt_tls_check_passphrase(const char *text, struct gnt_why *why)
{
    bool file = strncmp(text, "file:", 5) == 0 && text[5];
    if (file || (strncmp(text, "env:", 4) == 0 && text[4]) || strcmp(text, "none") == 0)
        return GNT_OK;
    gnt_why_set(why, "expected file:FILE or env:NAME, where the pass-phrase is, or none");
    return GNT_INVALID;
}

const struct gnt_option_word gnt_tls_ask_words[] = {
    {"auto", GNT_CONFIG_ASK_AUTO},
    {"none", GNT_CONFIG_ASK_NONE},
    {"optional", GNT_CONFIG_ASK_OPTIONAL},
    {"required", GNT_CONFIG_ASK_REQUIRED},
    {NULL, 0},
};

const struct gnt_option_word gnt_tls_identity_words[] = {
    {"auto", GNT_CONFIG_IDENTITY_AUTO}, {"cn", GNT_CONFIG_IDENTITY_CN},
    {"san", GNT_CONFIG_IDENTITY_SAN},   {"subject", GNT_CONFIG_IDENTITY_SUBJECT},
    {"none", GNT_CONFIG_IDENTITY_NONE}, {NULL, 0},
};

const struct gnt_option_word gnt_tls_version_words[] = {
    {"auto", 0}, {"1.0", 0x0301}, {"1.1", 0x0302}, {"1.2", 0x0303}, {"1.3", 0x0304}, {NULL, 0},
};

static const struct gnt_option listener_rows[] = {
    {.path = "url",
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct gnt_config_listener, url),
     .check = check_url,
     .required = true,
     .restart = true,
     .metavar = "URL",
     .help =
         "Where to listen: SCHEME://HOST:PORT. mqtt is MQTT, on port 1883 unless named; amqp is "
         "AMQP 1.0, on port 5672; http, on port 80, is both over WebSocket, at its paths /mqtt "
         "and /amqp; mqtts, on port 8883, amqps, on port 5671, and https, on port 443, are the "
         "same over TLS. Without a host: on all addresses. Port 0: any free one. unix:///PATH "
         "is MQTT over the Unix socket of that path, amqp+unix:///PATH is AMQP."},
    {.path = "mode",
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct gnt_config_listener, mode),
     .check = check_mode,
     .restart = true,
     .metavar = "MODE",
     .help = "The mode of a Unix socket's file, in octal: whoever may write it may connect. "
             "Without it 0660, the broker's user and group."},
    {.path = "proxies",
     .kind = GNT_OPTION_STRINGS,
     GNT_OPTION_FIELD(struct gnt_config_listener, proxies),
     .check = check_proxy,
     .restart = true,
     .metavar = "ADDRESS",
     .help = "Where proxies are: addresses, networks such as 10.0.0.0/8, or unix for whoever comes "
             "by a Unix socket. A connection from there has to begin with a header of the PROXY "
             "protocol, version 1 or 2, and is the client's that the header names. Connections "
             "from elsewhere are the clients' own, and not looked at for one. A listener with "
             "proxies counts as one that other machines reach."},
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
#define ROW(path_, flag_, kind_, member_, words_, check_, fallback_, metavar_, help_) \
    {.path = (path_),                                                                 \
     .kind = GNT_OPTION_##kind_,                                                      \
     GNT_OPTION_FIELD(struct gnt_config_listener, tls.member_),                       \
     .words = (words_),                                                               \
     .check = (check_),                                                               \
     .fallback = (fallback_),                                                         \
     .metavar = (metavar_),                                                           \
     .help = (help_)},
    GNT_TLS_ROWS(ROW)
#undef ROW
};

const struct gnt_option_table gnt_listener_table =
    GNT_OPTION_TABLE(struct gnt_config_listener, listener_rows);

/* Directly, or because a proxy passes them on. */
static bool is_reached_by_others(const struct gnt_config_listener *listener)
{
    struct gnt_url url;
    struct gnt_why why;
    return listener->proxies.count || gnt_url_parse(listener->url, &url, &why) ||
           !gnt_url_is_loopback(&url);
}

bool gnt_config_needs_certificates(const struct gnt_config *config,
                                   const struct gnt_config_listener *listener)
{
    return config->allow_anonymous == GNT_ANONYMOUS_LOOPBACK && !gnt_config_users(config) &&
           is_reached_by_others(listener);
}

bool gnt_config_on_loopback(const struct gnt_config *config)
{
    for (size_t i = 0; i < config->listeners.count; i++)
        if (is_reached_by_others(&config->listeners.items[i]))
            return false;
    return true;
}

bool gnt_config_is_open(const struct gnt_config *config)
{
    for (size_t i = 0; i < config->listeners.count; i++) {
        const struct gnt_config_listener *l = &config->listeners.items[i];
        if (is_reached_by_others(l) && !gnt_config_is_authenticated(config, l))
            return true;
    }
    return false;
}

bool gnt_config_anonymous(const struct gnt_config *config)
{
    if (config->allow_anonymous != GNT_ANONYMOUS_LOOPBACK)
        return config->allow_anonymous == GNT_ANONYMOUS_YES;
    /* Without users a listener that is open to others is refused. */
    return !gnt_config_users(config) || gnt_config_on_loopback(config);
}

/* ---- TLS */

/* Texts that say nothing become NULL. */
static void forget_defaults(struct gnt_config_tls *t)
{
    t->passphrase = t->passphrase && strcmp(t->passphrase, "none") != 0 ? t->passphrase : NULL;
    t->ciphers = t->ciphers && strcmp(t->ciphers, "auto") != 0 ? t->ciphers : NULL;
    t->suites = t->suites && strcmp(t->suites, "auto") != 0 ? t->suites : NULL;
}

/* Where the listener says nothing. */
static void inherit(struct gnt_config_tls *own, const struct gnt_config_tls *all)
{
    if (!own->certificates.count && !own->keys.count && !own->pfxs.count) {
        own->certificates = all->certificates;
        own->keys = all->keys;
        own->pfxs = all->pfxs;
        own->passphrase = own->passphrase ? own->passphrase : all->passphrase;
    }
    own->cas = own->cas.count ? own->cas : all->cas;
    own->crls = own->crls.count ? own->crls : all->crls;
    own->ask = own->ask ? own->ask : all->ask;
    own->identity = own->identity ? own->identity : all->identity;
    own->least = own->least ? own->least : all->least;
    own->greatest = own->greatest ? own->greatest : all->greatest;
    own->ciphers = own->ciphers ? own->ciphers : all->ciphers;
    own->suites = own->suites ? own->suites : all->suites;
}

static void decide(struct gnt_config_tls *t)
{
    if (!t->ask)
        t->ask = t->cas.count ? GNT_CONFIG_ASK_REQUIRED : GNT_CONFIG_ASK_NONE;
    if (!t->identity)
        t->identity = GNT_CONFIG_IDENTITY_CN;
    if (t->ask == GNT_CONFIG_ASK_NONE)
        t->cas = t->crls = (struct gnt_strings){NULL, 0};
}

static gnt_err check(const struct gnt_config_tls *t, const char *url, struct gnt_why *why)
{
    const char *wrong = NULL;
    if (t->keys.count > t->certificates.count)
        wrong = "there are more keys than certificates";
    else if (!t->certificates.count && !t->pfxs.count)
        wrong = "TLS needs a certificate: --certificate FILE and --key FILE, or --pfx FILE; "
                "'gnatter cert init' makes them";
    else if (t->ask != GNT_CONFIG_ASK_NONE && !t->cas.count)
        wrong = "clients are asked for certificates, and no CA says which are good: --ca FILE";
    else if (t->greatest && t->greatest < (t->least ? t->least : GNT_CONFIG_TLS_USUAL))
        wrong = "tls_max is older than tls_min";
    if (wrong)
        gnt_why_set(why, "%s: %s", url, wrong);
    return wrong ? GNT_INVALID : GNT_OK;
}

static bool is_empty(const struct gnt_config_tls *t)
{
    return !(t->certificates.count || t->keys.count || t->pfxs.count || t->passphrase ||
             t->cas.count || t->crls.count || t->ask || t->identity || t->least || t->greatest ||
             t->ciphers || t->suites);
}

bool gnt_config_is_tls(const struct gnt_config_listener *listener)
{
    struct gnt_url url;
    struct gnt_why why;
    return !gnt_url_parse(listener->url, &url, &why) && url.scheme->tls;
}

bool gnt_config_takes_tls(const struct gnt_config_listener *listener)
{
    struct gnt_url url;
    struct gnt_why why;
    if (gnt_url_parse(listener->url, &url, &why))
        return false;
    bool own = listener->tls.certificates.count || listener->tls.pfxs.count;
    bool amqp = url.scheme->kind == GNT_URL_AMQP && !url.scheme->file;
    return url.scheme->tls || (amqp && own);
}

gnt_err gnt_config_tls(const struct gnt_config *config, const struct gnt_config_listener *listener,
                       struct gnt_config_tls *out, struct gnt_why *why)
{
    *out = listener->tls;
    forget_defaults(out);
    if (!gnt_config_takes_tls(listener)) {
        gnt_why_set(why,
                    "%s: certificates and the like are for mqtts, amqps and https listeners, and "
                    "for an amqp listener that has a certificate of its own",
                    listener->url);
        return is_empty(out) ? GNT_OK : GNT_INVALID;
    }
    inherit(out, &config->tls);
    forget_defaults(out);
    decide(out);
    return check(out, listener->url, why);
}

bool gnt_config_is_authenticated(const struct gnt_config *config,
                                 const struct gnt_config_listener *listener)
{
    struct gnt_config_tls tls;
    struct gnt_why why;
    return gnt_config_is_tls(listener) && !gnt_config_tls(config, listener, &tls, &why) &&
           tls.ask == GNT_CONFIG_ASK_REQUIRED;
}
