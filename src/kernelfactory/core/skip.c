/* Goes over JSON that is not looked at: what a debug engine holds. It must be well-formed and ASCII all the same. */
#include <string.h>

#include "text.h"

static const byte *bad(const byte *p, int *why, int what)
{
    *why = what;
    return p;
}

static int is_digit(byte c) { return c >= '0' && c <= '9'; }

static int is_hex(byte c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* p behind the backslash; gives the escape's last character. */
static const byte *escape(const byte *p, int *why)
{
    if (*p != 'u')
        return *p && strchr("\"\\/bfnrt", *p) ? p : bad(p, why, KF_SYNTAX);
    for (int i = 0; i < 4; i++)
        if (!is_hex(*++p))
            return bad(p, why, KF_SYNTAX);
    return p;
}

static const byte *string(const byte *p, int *why)
{
    if (*p != '"')
        return bad(p, why, KF_SYNTAX);
    for (p++; *p != '"'; p++) {
        if (*p < 0x20 || *p > 0x7E)
            return bad(p, why, KF_SYNTAX);
        if (*p == '\\') {
            p = escape(p + 1, why);
            if (*why)
                return p;
        }
    }
    return p + 1;
}

static const byte *digits(const byte *p, int *why)
{
    if (!is_digit(*p))
        return bad(p, why, KF_SYNTAX);
    while (is_digit(*p))
        p++;
    return p;
}

static const byte *number(const byte *p, int *why)
{
    p += *p == '-';
    p = *p == '0' ? p + 1 : digits(p, why);
    if (!*why && *p == '.')
        p = digits(p + 1, why);
    if (!*why && (*p == 'e' || *p == 'E')) {
        p++;
        p += *p == '+' || *p == '-';
        p = digits(p, why);
    }
    return p;
}

/* A key and its colon, up to the value. */
static const byte *key(const byte *p, int *why)
{
    p = string(p, why);
    if (*why)
        return p;
    p = blank(p);
    return *p == ':' ? blank(p + 1) : bad(p, why, KF_SYNTAX);
}

/* An array or object; p at its bracket. */
static const byte *group(const byte *p, int depth, int *why)
{
    int object = *p == '{';
    byte close = object ? '}' : ']';
    if (depth >= KF_MAX_DEPTH)
        return bad(p, why, KF_DEPTH);
    p = blank(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        if (object)
            p = key(p, why);
        if (!*why)
            p = kf_skip(p, depth + 1, why);
        if (*why)
            return p;
        p = blank(p);
        if (*p == close)
            return p + 1;
        if (*p != ',')
            return bad(p, why, KF_SYNTAX);
        p = blank(p + 1);
    }
}

const byte *kf_skip(const byte *p, int depth, int *why)
{
    size_t n;
    if (*p == '[' || *p == '{')
        return group(p, depth, why);
    if (*p == '"')
        return string(p, why);
    if (*p == '-' || is_digit(*p))
        return number(p, why);
    if ((n = is(p, "null")) || (n = is(p, "true")) || (n = is(p, "false")))
        return p + n;
    return bad(p, why, KF_SYNTAX);
}
