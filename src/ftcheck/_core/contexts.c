/* Call stacks as numbers.
 *
 * All stacks that come up make a tree: each call stands in another one, down to the line of Python code that called into C.
 * An access is one more node, above the stack it stands in; so each can keep where it was in 24 bits.  Nodes are found by
 * their parent and their place in a table that only grows, without a lock; and each thread has those at hand that it came to
 * last.  A stack is looked up when an access has to be noted, not at each call.
 */
#define Py_BUILD_CORE 1
#include "native.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_tstate.h"
#include <sys/mman.h>

#define NODES (1u << 22)
#define SLOTS (1u << 23)

static ftc_context *nodes;
static _Atomic uint32_t *slots;                        /* numbers of nodes; 0: free */
static atomic_long lost;
static atomic_uint count = 1;                          /* node 0 is the root */

static void *
mapped(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int
made(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (__atomic_load_n(&nodes, __ATOMIC_ACQUIRE) != NULL) {
        return 1;
    }
    pthread_mutex_lock(&lock);
    if (nodes == NULL) {
        slots = mapped(SLOTS * sizeof *slots);
        __atomic_store_n(&nodes, slots == NULL ? NULL : mapped(NODES * sizeof *nodes), __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
    return nodes != NULL;
}

/* The stack that is `parent` and this place on top of it; `parent` itself where there is no room. */
uint32_t
ftc_context_of(uint32_t parent, uintptr_t place, int line)
{
    if (!made()) {
        return parent;
    }
    uint64_t hash = ((uint64_t)parent * 0x9E3779B97F4A7C15u ^ place) * 0xBF58476D1CE4E5B9u + (uint64_t)line * 0x94D049BB133111EBu;
    uint32_t fresh = 0;
    for (uint32_t probe = 0, at = (uint32_t)(hash >> 40); probe < 64; probe++) {
        _Atomic uint32_t *slot = &slots[(at + probe) & (SLOTS - 1)];
        uint32_t found = atomic_load_explicit(slot, memory_order_acquire);
        if (found == 0) {
            if (fresh == 0) {
                fresh = atomic_load(&count) < NODES ? atomic_fetch_add(&count, 1) : NODES;
                if (fresh >= NODES) {
                    lost++;
                    return parent;
                }
                nodes[fresh] = (ftc_context){parent, line, place};
            }
            if (atomic_compare_exchange_strong_explicit(slot, &found, fresh, memory_order_acq_rel, memory_order_acquire)) {
                return fresh;
            }
        }
        const ftc_context *node = &nodes[found];
        if (node->parent == parent && node->place == place && node->line == line) {
            return found;                              /* perhaps another thread was faster, and `fresh` is lost */
        }
    }
    lost++;
    return parent;
}

long
ftc_contexts_lost(void)
{
    return lost;
}

const ftc_context *
ftc_context_at(uint32_t number)
{
    return number == 0 || nodes == NULL ? NULL : &nodes[number];
}

/* --- what a thread has at hand -------------------------------------------------------------------------------------- */

#define PYTHON FTC_UNKNOWN           /* as a parent: `pc` is in Python code */

static uint32_t
keep(ftc_watcher *me, uint32_t parent, uintptr_t pc, uint32_t node)
{
    unsigned at = (unsigned)(pc + parent * 37) % FTC_AT_HAND;
    me->near[at].pc = pc;
    me->near[at].parent = parent;
    me->near[at].node = node;
    return node;
}

uint32_t
ftc_find_node(ftc_watcher *me, uint32_t parent, uintptr_t pc, int line)
{
    return parent == PYTHON ? 0 : keep(me, parent, pc, ftc_context_of(parent, (uintptr_t)ftc_place_of(pc), line));
}

uint32_t
ftc_find_context(ftc_watcher *me)
{
    ftc_frame *known = me->top;
    while (known->context == FTC_UNKNOWN && !known->border) {
        known--;
    }
    if (known->context == FTC_UNKNOWN) {
        known->context = ftc_python_context(me);
    }
    for (; known < me->top; known++) {
        known[1].context = ftc_node_of(me, known->context, known[1].called_from, 0);
    }
    return known->context;
}

/* --- Python code ----------------------------------------------------------------------------------------------------- */

/* Code objects that are the bottom of a stack are kept for good.  To look up who keeps one already is what this does. */
static uint32_t
python_context(PyCodeObject *code, int line)
{
    uint32_t before = atomic_load(&count);
    uint32_t number = ftc_context_of(0, (uintptr_t)code, line);
    if (number >= before) {
        Py_INCREF(code);
    }
    return number;
}

uint32_t
ftc_python_context(ftc_watcher *me)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    tstate = tstate != NULL ? tstate : PyGILState_GetThisThreadState();              /* it has detached since it was called */
    if (tstate == NULL || tstate->current_frame == NULL) {
        return 0;
    }
    _PyInterpreterFrame *frame = tstate->current_frame;
    while (frame != NULL && (frame->owner >= FRAME_OWNED_BY_INTERPRETER || PyStackRef_IsNull(frame->f_executable))) {
        frame = frame->previous;
    }
    if (frame == NULL) {
        return 0;
    }
    uintptr_t pc = (uintptr_t)frame->instr_ptr;        /* of code that is kept, if it is known */
    uint32_t known = ftc_node_of(me, PYTHON, pc, 0);
    if (known != 0 || !PyCode_Check(PyStackRef_AsPyObjectBorrow(frame->f_executable))) {
        return known;
    }
    PyCodeObject *code = (PyCodeObject *)PyStackRef_AsPyObjectBorrow(frame->f_executable);
    int offset = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
    return keep(me, PYTHON, pc, python_context(code, offset + 1));     /* the line is looked up when somebody asks */
}
