/* What the readers of program text share. p never passes the 0 that ends the text: it moves on only over characters that
   were compared and are not 0. */
#ifndef KF_TEXT_H
#define KF_TEXT_H

#include "vliw.h"

typedef unsigned char byte;

static inline const byte *blank(const byte *p)
{
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    return p;
}

/* The length of `word` if it stands at p, else 0. */
static inline size_t is(const byte *p, const char *word)
{
    size_t i = 0;
    for (; word[i]; i++)
        if (p[i] != (byte)word[i])
            return 0;
    return i;
}

/* Goes over any JSON value inside `depth` others. *why: KF_ACCEPTED as long as all is well, else the result is where it
   is not. */
const byte *kf_skip(const byte *p, int depth, int *why);

/* Room for one more bundle and its slots; landing and jump targets once all bundles are known. 0: no memory. */
int kf_make_room(struct kf_program *program);
int kf_land(struct kf_program *program);

#endif
