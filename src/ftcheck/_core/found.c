/* The races that were found.
 *
 * They are written to a file that is mapped into memory, each with all that is known of it at that moment: so they outlive
 * whatever the process dies of, and whoever looks after it can read them.
 */
#define Py_BUILD_CORE 1
#include "native.h"
#include "internal/pycore_code.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RACES 512
#define KNOWN 4096
#define POSSIBLE (RACES / 2)         /* of the races; the other half is kept for those that are certain */

typedef struct {
    char magic[8];
    uint32_t version, record, count, dropped;          /* dropped: there was no room for them */
    uint32_t modules, module_size;
    ftc_module module[FTC_MODULES];
    ftc_data_race races[RACES];
} book;

static book *the;
static int lock;
static struct { uint64_t a, b; uint32_t number; } known[KNOWN];
static uint32_t possible_ones;       /* as they were found first */
static unsigned long possible_dropped;

int
ftc_found_init(const char *path)
{
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (path != NULL && (file < 0 || ftruncate(file, sizeof *the) != 0)) {
        return -1;
    }
    void *memory = mmap(NULL, sizeof *the, PROT_READ | PROT_WRITE, file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    if (file >= 0) {
        close(file);
    }
    if (memory == MAP_FAILED) {
        return -1;
    }
    book *fresh = memory;
    memcpy(fresh->magic, "ftcheck", 8);
    fresh->version = 3;
    fresh->record = sizeof(ftc_data_race);
    fresh->module_size = sizeof(ftc_module);
    the = fresh;
    return 0;
}

void
ftc_found_begin(void)
{
    memset(known, 0, sizeof known);
    memset(the->races, 0, the->count * sizeof *the->races);
    the->count = the->dropped = possible_ones = 0;
    possible_dropped = 0;
}

unsigned long
ftc_found_possible_dropped(void)
{
    return possible_dropped;
}

unsigned long
ftc_found_dropped(void)
{
    return the == NULL ? 0 : the->dropped;
}

uint32_t
ftc_found_count(void)
{
    return the == NULL ? 0 : __atomic_load_n(&the->count, __ATOMIC_ACQUIRE);
}

/* Whose static variable it is; -1: nobody's. */
static int
module_with(const book *from, uint64_t address)
{
    for (uint32_t i = 0; i < from->modules && i < FTC_MODULES; i++) {
        if (address >= from->module[i].base && address < from->module[i].end) {
            return (int)i;
        }
    }
    return -1;
}

/* Each lock: its kind, the static variable that it is (module, offset), and where it was taken. */
static PyObject *
locks_of(const book *from, const ftc_side *side)
{
    PyObject *locks = PyTuple_New(side->held);
    for (int i = 0; locks != NULL && i < side->held; i++) {
        const ftc_held *lock = &side->locks[i];
        int home = module_with(from, lock->address);
        PyTuple_SET_ITEM(locks, i, Py_BuildValue("i(iK)(iK)", lock->kind, home,
                                                 home < 0 ? 0ull : (unsigned long long)(lock->address - from->module[home].base),
                                                 FTC_PLACE_MODULE(lock->taken) - 1,
                                                 (unsigned long long)FTC_PLACE_OFFSET(lock->taken)));
    }
    return locks;
}

static PyObject *
side_of(const book *from, const ftc_side *side)
{
    PyObject *places = PyTuple_New(side->steps);
    for (int i = 0; places != NULL && i < side->steps; i++) {
        PyTuple_SET_ITEM(places, i, Py_BuildValue("iK", FTC_PLACE_MODULE(side->places[i]) - 1,
                                                  (unsigned long long)FTC_PLACE_OFFSET(side->places[i])));
    }
    return Py_BuildValue("iNsssiN", side->flags, places, side->label, side->python_file, side->python_name, side->python_line,
                         locks_of(from, side));
}

static PyObject *
all_of(const book *from)
{
    PyObject *races = PyList_New(0), *modules = PyList_New(0);
    for (uint32_t i = 0; races != NULL && modules != NULL && i < __atomic_load_n(&from->count, __ATOMIC_ACQUIRE) && i < RACES; i++) {
        const ftc_data_race *race = &from->races[i];
        int home = module_with(from, race->address);
        PyObject *one = Py_BuildValue("kKi(iK)NN", (unsigned long)race->count, (unsigned long long)race->address, race->possible, home,
                                      home < 0 ? 0ull : (unsigned long long)(race->address - from->module[home].base),
                                      side_of(from, &race->sides[0]), side_of(from, &race->sides[1]));
        if (one == NULL || PyList_Append(races, one) < 0) {
            Py_CLEAR(races);
        }
        Py_XDECREF(one);
    }
    for (uint32_t i = 0; races != NULL && modules != NULL && i < from->modules && i < FTC_MODULES; i++) {
        PyObject *one = PyUnicode_DecodeFSDefault(from->module[i].path);
        if (one == NULL || PyList_Append(modules, one) < 0) {
            Py_CLEAR(modules);
        }
        Py_XDECREF(one);
    }
    if (races == NULL || modules == NULL) {
        Py_XDECREF(races);
        Py_XDECREF(modules);
        return NULL;
    }
    return Py_BuildValue("NNk", modules, races, (unsigned long)from->dropped);
}

/* native_races(): of this process. */
PyObject *
ftc_native_races(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    static const book none;
    return all_of(the == NULL ? &none : the);
}

/* native_races_of(path): what a process has left behind there. */
PyObject *
ftc_native_races_of(PyObject *Py_UNUSED(module), PyObject *path)
{
    PyObject *bytes;
    if (!PyUnicode_FSConverter(path, &bytes)) {
        return NULL;
    }
    int file = open(PyBytes_AS_STRING(bytes), O_RDONLY | O_CLOEXEC);
    Py_DECREF(bytes);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    void *memory = size < (off_t)sizeof *the ? MAP_FAILED : mmap(NULL, sizeof *the, PROT_READ, MAP_PRIVATE, file, 0);
    if (file < 0) {
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    close(file);
    const book *left = memory == MAP_FAILED ? NULL : memory;
    PyObject *result = NULL;
    if (left == NULL || memcmp(left->magic, "ftcheck", 8) != 0 || left->version != 3 || left->record != sizeof(ftc_data_race)
        || left->module_size != sizeof(ftc_module)) {
        PyErr_Format(PyExc_ValueError, "%R is no list of races that this version of ftcheck has written", path);
    }
    else {
        result = all_of(left);
    }
    if (left != NULL) {
        munmap(memory, sizeof *the);
    }
    return result;
}

static void
write_python(ftc_side *side, const ftc_context *node)
{
    PyCodeObject *code = (PyCodeObject *)node->place;
    side->python_line = PyCode_Addr2Line(code, node->line - 1);
    const char *file = PyUnicode_AsUTF8(code->co_filename), *name = PyUnicode_AsUTF8(code->co_qualname);
    strncpy(side->python_file, file == NULL ? "?" : file, sizeof side->python_file - 1);
    strncpy(side->python_name, name == NULL ? "?" : name, sizeof side->python_name - 1);
}

/* Returns the step that says where it was taken. */
static const ftc_context *
write_lock(ftc_side *side, const ftc_context *node)
{
    const ftc_context *taken = ftc_context_at(node->parent);
    if (side->held < FTC_LOCKS) {
        side->locks[side->held++] = (ftc_held){FTC_LOCK_TAKEN - taken->line, node->place, taken->place};
    }
    return taken;
}

/* The node of the access itself; NULL: the thread that has written it was about to write another one, or it is not in an
 * extension. */
static const ftc_context *
site_of(const ftc_touch *touch)
{
    const ftc_context *node = ftc_context_at(FTC_NODE(touch->where));
    return node != NULL && node->line == FTC_SITE && FTC_WHERE_ID(touch->where) == FTC_ID(touch->who) ? node : NULL;
}

static void
write_side(ftc_side *side, const ftc_touch *touch)
{
    side->flags = FTC_FLAGS(touch->who);
    side->thread = FTC_ID(touch->who);
    strncpy(side->label, ftc_watcher_label(side->thread), sizeof side->label - 1);
    const ftc_context *site = site_of(touch), *node = ftc_context_at(FTC_NODE(touch->where));
    side->places[side->steps++] = site == NULL ? 0 : site->place;
    if (site == NULL && FTC_WHERE_ID(touch->where) != FTC_ID(touch->who)) {
        return;
    }
    for (node = site == NULL ? node : ftc_context_at(site->parent); node != NULL; node = ftc_context_at(node->parent)) {
        if (node->line > 0) {
            write_python(side, node);
        }
        else if (node->line == FTC_LOCK) {
            node = write_lock(side, node);
        }
        else if (side->steps < FTC_STACK) {
            side->places[side->steps++] = node->place;
        }
    }
}

static uint64_t
name_of(const ftc_touch *touch)
{
    const ftc_context *site = site_of(touch);
    return (site == NULL ? 0 : (uint64_t)site->place) << 3 | (uint64_t)FTC_FLAGS(touch->who);
}

/* Two instructions race once, however often they do. */
static int
is_new(const ftc_touch *mine, const ftc_touch *other, int possible, uint32_t *number)
{
    uint64_t a = name_of(mine), b = name_of(other);
    if (a > b) {
        uint64_t c = a;
        a = b, b = c;
    }
    for (uint32_t i = 0, at = (uint32_t)((a * 0x9E3779B97F4A7C15u ^ b * 0xBF58476D1CE4E5B9u) >> 40); i < KNOWN; i++) {
        uint32_t slot = (at + i) % KNOWN;
        if (known[slot].a == a && known[slot].b == b) {
            *number = known[slot].number;
            return 0;
        }
        if (known[slot].a == 0 && known[slot].b == 0) {
            if (possible && possible_ones == POSSIBLE) {
                break;
            }
            *number = the->count < RACES ? the->count : RACES;
            known[slot].a = a, known[slot].b = b, known[slot].number = *number;
            return 1;
        }
    }
    *number = RACES;
    return 0;
}

static int
has_place(const ftc_touch *touch)
{
    const ftc_context *site = site_of(touch);
    return site == NULL || site->place != 0 || FTC_FLAGS(touch->who) & FTC_FREES;
}

static void
write_race(uint32_t number, const ftc_touch *mine, const ftc_touch *other, uintptr_t address, int possible)
{
    ftc_data_race *race = &the->races[number];
    memset(race->sides, 0, sizeof race->sides);
    race->address = address;
    race->possible = possible;
    write_side(&race->sides[0], mine);
    write_side(&race->sides[1], other);
    the->modules = (uint32_t)ftc_module_count;
    memcpy(the->module, ftc_modules, sizeof the->module);
    __atomic_store_n(&race->ready, 1, __ATOMIC_RELEASE);
}

void
ftc_race_found(const ftc_touch *mine, const ftc_touch *other, uintptr_t address, int possible)
{
    uint32_t number;
    if (the == NULL) {
        return;
    }
    if (!has_place(mine) || !has_place(other)) {       /* in a module that was refused, whose calls are no borders */
        __atomic_add_fetch(&the->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
    if (is_new(mine, other, possible, &number) && number < RACES) {
        write_race(number, mine, other, address, possible);
        possible_ones += possible != 0;
        __atomic_store_n(&the->count, number + 1, __ATOMIC_RELEASE);
    }
    else if (number == RACES) {
        the->dropped += !possible;
        possible_dropped += possible != 0;
    }
    else if (the->races[number].possible && !possible) {           /* now it is certain, as these two are */
        the->races[number].count = 0;
        write_race(number, mine, other, address, 0);
    }
    if (number < RACES && the->races[number].possible >= possible) {
        the->races[number].count++;
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}
