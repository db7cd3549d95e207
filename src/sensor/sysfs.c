/* "hwmon:NAME[/CHANNEL]" and "thermal:N": temperatures that the kernel gives as small text files,
 * in milli-degrees Celsius.  The file is opened anew for each reading: a file that was opened once
 * would go on belonging to a device that is gone. */
#include "sensor/kinds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ROOT_MAX = 256,
    PATH_SIZE = ROOT_MAX + 128,
    NAME_SIZE = 64,
    CHANNELS = 128, /* a chip has its temperatures at temp1_input ... */
};

struct sysfs {
    struct gnt_sensor sensor;
    char root[ROOT_MAX];
    char name[NAME_SIZE];  /* hwmon: of the chip */
    unsigned long number;  /* hwmon: of the directory; thermal: of the zone */
    unsigned long channel; /* hwmon: what is read; 0: not found yet */
    unsigned long wanted;  /* hwmon: what the spec says; 0: the first there is */
    char path[PATH_SIZE];  /* hwmon: while looking; thermal: the file */
};

/* Fills sysfs->path; it is large enough for every path in this file. */
__attribute__((format(printf, 2, 3))) static const char *path_of(struct sysfs *sysfs,
                                                                 const char *format, ...)
{
    int root = snprintf(sysfs->path, sizeof sysfs->path, "%s", sysfs->root);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sysfs->path + root, sizeof sysfs->path - (size_t)root, format, arguments);
    va_end(arguments);
    return sysfs->path;
}

/* The first line of the file, without its end; an errno value if it cannot be read. */
static int read_line(const char *path, char *line, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t n = read(fd, line, size - 1);
    int error_number = n < 0 ? errno : 0;
    close(fd);
    if (n >= 0) {
        line[n] = '\0';
        line[strcspn(line, "\n")] = '\0';
    }
    return error_number;
}

/* The file at sysfs->path as a temperature. */
static gnt_err read_milli(struct sysfs *sysfs, struct gnt_reading *out)
{
    struct gnt_sensor_text why = gnt_sensor_why(&sysfs->sensor);
    char line[32], *end;
    int error_number = read_line(sysfs->path, line, sizeof line);
    if (error_number) {
        gnt_err err = gnt_err_from_errno(error_number);
        /* EAGAIN: a driver without a measurement.  Nobody knows when it will have one. */
        return gnt_sensor_say(why, err == GNT_MORE ? GNT_BUSY : err, "%s: cannot be read: %s",
                              sysfs->path, strerrordesc_np(error_number));
    }
    errno = 0;
    long milli = strtol(line, &end, 10);
    if (end == line || *end || errno || milli < INT32_MIN || milli > INT32_MAX)
        return gnt_sensor_say(why, GNT_MALFORMED, "%s: holds no temperature but \"%s\"",
                              sysfs->path, line);
    *out = (struct gnt_reading){(int32_t)milli, "C"};
    return GNT_OK;
}

static void sysfs_close(struct gnt_sensor *sensor)
{
    free(sensor);
}

static gnt_err sysfs_new(const struct gnt_sensor_options *options, const struct gnt_sensor_ops *ops,
                         struct sysfs **out, struct gnt_sensor_text why)
{
    const char *root = options->sysfs_root ? options->sysfs_root : "/sys";
    if (strlen(root) >= ROOT_MAX)
        return gnt_sensor_say(why, GNT_INVALID, "the path to sysfs has at most %d characters",
                              ROOT_MAX - 1);
    struct sysfs *sysfs = calloc(1, sizeof *sysfs);
    if (!sysfs)
        return GNT_NOMEM;
    sysfs->sensor.ops = ops;
    memcpy(sysfs->root, root, strlen(root) + 1);
    *out = sysfs;
    return GNT_OK;
}

static gnt_err thermal_read(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out)
{
    struct sysfs *sysfs = (struct sysfs *)sensor;
    (void)now;
    path_of(sysfs, "/class/thermal/thermal_zone%lu/temp", sysfs->number);
    gnt_err err = read_milli(sysfs, out);
    if (err == GNT_NOTFOUND)
        gnt_sensor_say(gnt_sensor_why(sensor), err,
                       "%s: there is no such file; \"ls -d %s/class/thermal/thermal_zone*\" lists "
                       "the zones there are",
                       sysfs->path, sysfs->root);
    return err;
}

static const struct gnt_sensor_ops thermal_ops = {thermal_read, sysfs_close};

gnt_err gnt_sensor_thermal_open(struct gnt_slice rest, const struct gnt_sensor_options *options,
                                struct gnt_sensor **out, struct gnt_sensor_text why)
{
    uint64_t number;
    struct sysfs *sysfs;
    if (gnt_sensor_number(rest, INT_MAX, &number))
        return gnt_sensor_say(why, GNT_INVALID,
                              "\"thermal:%.*s\": a thermal zone is a number, as in thermal:0",
                              (int)rest.size, (const char *)rest.data);
    gnt_err err = sysfs_new(options, &thermal_ops, &sysfs, why);
    if (err)
        return err;
    sysfs->number = (unsigned long)number;
    *out = &sysfs->sensor;
    return GNT_OK;
}

/* Whether hwmonNUMBER is the chip that is wanted. */
static bool is_chip(struct sysfs *sysfs, unsigned long number)
{
    char line[NAME_SIZE];
    path_of(sysfs, "/class/hwmon/hwmon%lu/name", number);
    return read_line(sysfs->path, line, sizeof line) == 0 && strcmp(line, sysfs->name) == 0;
}

static const char *channel_path(struct sysfs *sysfs)
{
    return path_of(sysfs, "/class/hwmon/hwmon%lu/temp%lu_input", sysfs->number, sysfs->channel);
}

/* Goes through the hwmon directories: *number is that of the chip called sysfs->name, the lowest if
 * there are several.  Names of others are put into NAMES for an error text, as many as fit. */
static bool find_chip(struct sysfs *sysfs, unsigned long *number, char *names, size_t names_size)
{
    bool found = false;
    size_t used = 0;
    DIR *dir = opendir(path_of(sysfs, "/class/hwmon"));
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t at;
        char line[NAME_SIZE];
        struct gnt_slice text = gnt_slice_str(entry->d_name);
        struct gnt_slice prefix = gnt_slice_str("hwmon");
        if (!gnt_slice_starts(text, prefix) ||
            gnt_sensor_number(gnt_slice_skip(text, prefix.size), INT_MAX, &at) ||
            read_line(path_of(sysfs, "/class/hwmon/%s/name", entry->d_name), line, sizeof line))
            continue;
        if (strcmp(line, sysfs->name) == 0) {
            if (!found || at < *number)
                *number = (unsigned long)at;
            found = true;
        } else if (used + strlen(line) + 2 < names_size) {
            used += (size_t)snprintf(names + used, names_size - used, " %s", line);
        }
    }
    if (dir)
        closedir(dir);
    return found;
}

/* Finds the chip and the channel, or says what there is instead. */
static gnt_err find(struct sysfs *sysfs)
{
    struct gnt_sensor_text why = gnt_sensor_why(&sysfs->sensor);
    char names[256] = " none";
    unsigned long first = sysfs->wanted ? sysfs->wanted : 1;
    unsigned long last = sysfs->wanted ? sysfs->wanted : CHANNELS;
    sysfs->channel = 0;
    if (!find_chip(sysfs, &sysfs->number, names, sizeof names))
        return gnt_sensor_say(why, GNT_NOTFOUND,
                              "%s/class/hwmon: no chip is called \"%s\"; there are:%s", sysfs->root,
                              sysfs->name, names);
    for (sysfs->channel = first; sysfs->channel <= last; sysfs->channel++)
        if (access(channel_path(sysfs), F_OK) == 0)
            return GNT_OK;
    sysfs->channel = 0;
    path_of(sysfs, "/class/hwmon/hwmon%lu", sysfs->number);
    if (sysfs->wanted)
        return gnt_sensor_say(why, GNT_NOTFOUND,
                              "%s (%s) has no temp%lu_input; \"ls %s\" lists what it has",
                              sysfs->path, sysfs->name, sysfs->wanted, sysfs->path);
    return gnt_sensor_say(why, GNT_NOTFOUND, "%s (%s) has no temperature (no temp*_input)",
                          sysfs->path, sysfs->name);
}

/* The directory's number is the kernel's choice and may belong to another chip the next time. */
static gnt_err hwmon_read(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out)
{
    struct sysfs *sysfs = (struct sysfs *)sensor;
    (void)now;
    if (!sysfs->channel || !is_chip(sysfs, sysfs->number)) {
        gnt_err err = find(sysfs);
        if (err)
            return err;
    }
    channel_path(sysfs);
    gnt_err err = read_milli(sysfs, out);
    if (err)
        sysfs->channel = 0;
    return err;
}

static const struct gnt_sensor_ops hwmon_ops = {hwmon_read, sysfs_close};

gnt_err gnt_sensor_hwmon_open(struct gnt_slice rest, const struct gnt_sensor_options *options,
                              struct gnt_sensor **out, struct gnt_sensor_text why)
{
    const uint8_t *slash = rest.size ? memrchr(rest.data, '/', rest.size) : NULL;
    uint64_t channel = 0;
    struct gnt_slice name = rest;
    struct sysfs *sysfs;
    if (slash)
        name.size = (size_t)(slash - rest.data);
    if (name.size == 0 || name.size >= NAME_SIZE ||
        (slash && (gnt_sensor_number(gnt_slice_skip(rest, name.size + 1), CHANNELS, &channel) ||
                   channel == 0)))
        return gnt_sensor_say(why, GNT_INVALID,
                              "\"hwmon:%.*s\": must be a chip's name, and may have a channel from "
                              "1 to %d: hwmon:coretemp or hwmon:coretemp/2",
                              (int)rest.size, (const char *)rest.data, CHANNELS);
    gnt_err err = sysfs_new(options, &hwmon_ops, &sysfs, why);
    if (err)
        return err;
    memcpy(sysfs->name, name.data, name.size);
    sysfs->wanted = (unsigned long)channel;
    *out = &sysfs->sensor;
    return GNT_OK;
}
