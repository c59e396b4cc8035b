/* The extensions that ftcheck-cc has compiled.
 *
 * One is known by what it imports: its relocations name __tsan_init.  (Its constructor calls that, but as its last act, so that
 * the return address is the dynamic linker's.)  All that have come together are taken in before the imports of any are replaced
 * (imports.c): what one calls of another is no border.
 *
 * One that was unloaded keeps its number, for the races that it stands in, but no address is in it any more.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

ftc_module ftc_modules[FTC_MODULES];
int ftc_module_count, ftc_module_changes;
static int refused;
static unsigned long long unloaded;  /* as the linker counts them */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int wanted;            /* calls of ftc_find_modules() */

int
ftc_module_of(uintptr_t address)
{
    int count = __atomic_load_n(&ftc_module_count, __ATOMIC_ACQUIRE);
    for (int i = 0; i < count; i++) {
        if (address >= ftc_modules[i].low && address < ftc_modules[i].high) {
            return i;
        }
    }
    return -1;
}

/* The instruction before this return address; 0 where it is in none of the modules. */
uint64_t
ftc_place_of(uintptr_t pc)
{
    int module = ftc_module_of(pc);
    return module < 0 ? 0 : (uint64_t)(module + 1) << 28 | ((pc - 1 - ftc_modules[module].base) & 0xfffffff);
}

int
ftc_modules_refused(void)
{
    return refused;
}

/* The part of the table that the linker has made read-only is written to as well. */
static int
make_writable(const struct dl_phdr_info *info)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_GNU_RELRO) {
            uintptr_t low = (info->dlpi_addr + part->p_vaddr) & ~(page - 1);
            uintptr_t high = (info->dlpi_addr + part->p_vaddr + part->p_memsz + page - 1) & ~(page - 1);
            if (mprotect((void *)low, high - low, PROT_READ | PROT_WRITE) != 0) {
                return 0;
            }
        }
    }
    return 1;
}

/* The number of the module that has its code there; -1: none. */
static int
number_of(uintptr_t low)
{
    for (int i = 0; i < ftc_module_count; i++) {
        if (ftc_modules[i].low == low && ftc_modules[i].high != 0) {
            return i;
        }
    }
    return -1;
}

/* Its number if it is one of ours, and new; else -1. */
static int
take_in(const struct dl_phdr_info *info, const ftc_imports *all)
{
    if (number_of(all->low) >= 0 || !ftc_imports_one(all, "__tsan_init", sizeof "__tsan_init")) {
        return -1;
    }
    if (ftc_module_count == FTC_MODULES || all->end - all->base > FTC_PLACE_OFFSET(UINT64_MAX) || !make_writable(info)) {
        refused++;                                     /* its accesses are looked at, and have no place: found.c leaves them out */
        return -1;
    }
    ftc_module *module = &ftc_modules[ftc_module_count];
    *module = (ftc_module){.base = all->base, .low = all->low, .high = all->high, .end = all->end};
    if (info->dlpi_name[0] == '/' || realpath(info->dlpi_name, module->path) == NULL) {
        strncpy(module->path, info->dlpi_name, sizeof module->path - 1);
    }
    __atomic_store_n(&ftc_module_count, ftc_module_count + 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(&ftc_module_changes, 1, __ATOMIC_RELEASE);
    return ftc_module_count - 1;
}

typedef struct { struct dl_phdr_info *all; int count, room; } loaded;

static int
note(struct dl_phdr_info *info, size_t Py_UNUSED(size), void *list)
{
    loaded *found = list;
    if (found->count == found->room) {
        int room = found->room * 2 + 64;
        struct dl_phdr_info *more = realloc(found->all, (size_t)room * sizeof *more);
        if (more == NULL) {
            return 1;
        }
        found->all = more;
        found->room = room;
    }
    found->all[found->count++] = *info;
    return 0;
}

/* Something was unloaded: what stands where one of ours was may be another, or the same once more. */
static void
forget_all(void)
{
    for (int i = 0; i < ftc_module_count; i++) {
        __atomic_store_n(&ftc_modules[i].high, 0, __ATOMIC_RELEASE);
    }
    __atomic_fetch_add(&ftc_module_changes, 1, __ATOMIC_RELEASE);
}

static int
was_here(const ftc_imports *all, const struct dl_phdr_info *info)
{
    for (int i = 0; i < ftc_module_count; i++) {
        ftc_module *module = &ftc_modules[i];
        if (module->low == all->low && module->base == all->base && module->end == all->end && module->high == 0
            && strcmp(module->path, info->dlpi_name) == 0) {
            __atomic_store_n(&module->high, all->high, __ATOMIC_RELEASE);
            __atomic_fetch_add(&ftc_module_changes, 1, __ATOMIC_RELEASE);
            return i;
        }
    }
    return -1;
}

static int
is_interpreter(const ftc_imports *imports)
{
    return (uintptr_t)PyMem_RawMalloc - imports->low < imports->high - imports->low;
}

static void
look(void)
{
    static int hooked;
    loaded found = {0};
    dl_iterate_phdr(note, &found);
    int again = found.count > 0 && found.all[0].dlpi_subs != unloaded;
    ftc_imports *imports = calloc((size_t)found.count + 1, sizeof *imports);
    int *numbers = calloc((size_t)found.count + 1, sizeof *numbers);
    if (again) {
        unloaded = found.all[0].dlpi_subs;
        forget_all();
    }
    for (int i = 0; imports != NULL && numbers != NULL && i < found.count; i++) {
        numbers[i] = -1;
        if (ftc_read_imports(&found.all[i], &imports[i]) && *found.all[i].dlpi_name != '\0') {
            numbers[i] = again ? was_here(&imports[i], &found.all[i]) : -1;
            numbers[i] = numbers[i] < 0 ? take_in(&found.all[i], &imports[i]) : numbers[i];
        }
    }
    for (int i = 0; imports != NULL && ftc_module_count > 0 && !hooked && i < found.count; i++) {
        if (imports[i].low != 0 && is_interpreter(&imports[i]) && make_writable(&found.all[i])) {
            ftc_hook_unmapping(&imports[i]);
            hooked = 1;
        }
    }
    for (int i = 0; imports != NULL && numbers != NULL && i < found.count; i++) {
        if (numbers[i] >= 0 && make_writable(&found.all[i])) {
            ftc_hook_allocators();                     /* before that, nobody has to pay for it */
            ftc_replace_imports(&imports[i], &ftc_modules[numbers[i]]);
            ftc_close_thunks();
        }
    }
    free(numbers);
    free(imports);
    free(found.all);
}

/* The linker's list is copied first: its lock must not be held while symbols are looked up.  Who comes from the constructor of
 * a module has another lock of the linker's, which whoever is here already may wait for: so nobody waits here, and who is here
 * looks again instead. */
void
ftc_find_modules(void)
{
    atomic_fetch_add(&wanted, 1);
    while (atomic_load(&wanted) > 0 && pthread_mutex_trylock(&lock) == 0) {
        for (int seen = atomic_load(&wanted); seen > 0; seen = atomic_fetch_sub(&wanted, seen) - seen) {
            look();
        }
        pthread_mutex_unlock(&lock);
    }
}

/* After fork(): nobody else is there. */
void
ftc_modules_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    wanted = 0;
}
