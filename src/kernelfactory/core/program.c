/* The memory of a decoded program, and where its jumps land. Refuses to know text. */
#include <stdlib.h>

#include "text.h"

static int grow(void **array, size_t *room, size_t need, size_t item)
{
    if (need <= *room)
        return 1;
    size_t wanted = need + need / 2 + 64;
    void *larger = realloc(*array, wanted * item);
    if (!larger)
        return 0;
    *array = larger;
    *room = wanted;
    return 1;
}

int kf_make_room(struct kf_program *p)
{
    void *bundles = p->bundles, *slots = p->slots;
    int made = grow(&bundles, &p->bundle_room, (size_t)p->count + 2, sizeof *p->bundles) &&
               grow(&slots, &p->slot_room, (size_t)p->slot_count + KF_MAX_SLOTS, sizeof *p->slots);
    p->bundles = bundles;
    p->slots = slots;
    return made;
}

int kf_land(struct kf_program *p)
{
    void *landing = p->landing;
    int made = kf_make_room(p) && grow(&landing, &p->landing_room, (size_t)p->length + 1, sizeof *p->landing);
    p->landing = landing;
    if (!made)
        return 0;
    p->bundles[p->count] = (struct kf_bundle){p->slot_count, p->length, 0};
    for (uint32_t i = 0, at = 0; i <= p->count; i++)
        while (at <= p->bundles[i].number)
            p->landing[at++] = i;
    for (uint32_t i = 0; i < p->slot_count; i++) {
        struct kf_slot *s = &p->slots[i];
        if (s->code == KF_JUMP || s->code == KF_COND_JUMP)
            s->imm = p->landing[s->imm < p->length ? s->imm : p->length];
    }
    return 1;
}

struct kf_program *kf_program_new(void)
{
    struct kf_program *program = calloc(1, sizeof *program);
    if (program && !kf_land(program)) {
        kf_program_free(program);
        program = NULL;
    }
    return program;
}

void kf_program_free(struct kf_program *program)
{
    if (!program)
        return;
    free(program->bundles);
    free(program->slots);
    free(program->landing);
    free(program);
}
