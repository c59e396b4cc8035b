/* Finds the extensions that ftcheck-cc has compiled, and replaces the functions that they import.
 *
 * An extension is one of them if its relocations name __tsan_init.  (Its constructor calls that, but as its last act, so that
 * the return address is the dynamic linker's.)  What it calls is looked up in its global offset table: the entries of
 * procedures (JUMP_SLOT), and those of symbols (GLOB_DAT) that are functions, which is what -fno-plt, and taking a function's
 * address, make of them.  Each is replaced by a wrapper or a thunk, and those of __tsan_*, which may be bound to the functions
 * that stand in for ours where ftcheck is not there, by ours.
 */
#include "native.h"
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#  define JUMP_SLOT R_X86_64_JUMP_SLOT
#  define GLOB_DAT R_X86_64_GLOB_DAT
#else
#  define JUMP_SLOT R_AARCH64_JUMP_SLOT
#  define GLOB_DAT R_AARCH64_GLOB_DAT
#endif

ftc_module ftc_modules[FTC_MODULES];
int ftc_module_count;
static int refused;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

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

/* --- what a module says of itself --------------------------------------------------------------------------------- */

typedef struct {
    const ElfW(Sym) *symbols;
    const char *names;
    const ElfW(Rela) *tables[2];
    size_t sizes[2];
} relocations;

static int
read_relocations(const struct dl_phdr_info *info, relocations *found)
{
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) {
            dynamic = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        }
    }
    *found = (relocations){0};
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        switch (dynamic->d_tag) {
            case DT_SYMTAB: found->symbols = (const void *)dynamic->d_un.d_ptr; break;
            case DT_STRTAB: found->names = (const void *)dynamic->d_un.d_ptr; break;
            case DT_JMPREL: found->tables[0] = (const void *)dynamic->d_un.d_ptr; break;
            case DT_PLTRELSZ: found->sizes[0] = dynamic->d_un.d_val / sizeof(ElfW(Rela)); break;
            case DT_RELA: found->tables[1] = (const void *)dynamic->d_un.d_ptr; break;
            case DT_RELASZ: found->sizes[1] = dynamic->d_un.d_val / sizeof(ElfW(Rela)); break;
        }
    }
    /* the kernel's own (vdso) has addresses that nobody has relocated */
    return found->symbols != NULL && found->names != NULL && (uintptr_t)found->names >= info->dlpi_addr;
}

static const char *
name_of(const relocations *all, const ElfW(Rela) *one)
{
    return all->names + all->symbols[ELF64_R_SYM(one->r_info)].st_name;
}

static int
is_one_of_ours(const relocations *all)
{
    for (int table = 0; table < 2; table++) {
        for (size_t i = 0; all->tables[table] != NULL && i < all->sizes[table]; i++) {
            const ElfW(Rela) *one = &all->tables[table][i];
            int type = (int)ELF64_R_TYPE(one->r_info);
            if ((type == JUMP_SLOT || type == GLOB_DAT) && strcmp(name_of(all, one), "__tsan_init") == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static int
is_function(void *address)
{
    Dl_info where;
    ElfW(Sym) *symbol = NULL;
    if (!dladdr1(address, &where, (void **)&symbol, RTLD_DL_SYMENT)) {
        return 0;
    }
    int type = symbol == NULL ? STT_FUNC : ELF64_ST_TYPE(symbol->st_info);
    return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

/* --- what it imports ---------------------------------------------------------------------------------------------- */

static void *
instead_of(const char *name, void *real, int type)
{
    static void *own;
    if (strncmp(name, "__tsan_", 7) == 0) {
        if (own == NULL) {
            Dl_info where;
            own = dladdr((void *)ftc_find_modules, &where) ? dlopen(where.dli_fname, RTLD_NOLOAD | RTLD_LAZY) : NULL;
        }
        return own == NULL ? NULL : dlsym(own, name);
    }
    void *wrapper = ftc_wrapper_for(name);
    if (wrapper != NULL) {
        return wrapper;
    }
    if (ftc_orders_nothing(name) || (type == GLOB_DAT && ftc_address_matters(name)) || !is_function(real)
        || ftc_module_of((uintptr_t)real) >= 0) {
        return NULL;
    }
    return ftc_thunk_for(real);
}

static int
replace_imports(const relocations *all, uintptr_t base, uintptr_t low, uintptr_t high)
{
    int replaced = 0;
    for (int table = 0; table < 2; table++) {
        for (size_t i = 0; all->tables[table] != NULL && i < all->sizes[table]; i++) {
            const ElfW(Rela) *one = &all->tables[table][i];
            int type = (int)ELF64_R_TYPE(one->r_info);
            void **entry = (void **)(base + one->r_offset);
            if ((type != JUMP_SLOT && type != GLOB_DAT) || ELF64_R_SYM(one->r_info) == 0) {
                continue;
            }
            const char *name = name_of(all, one);
            int lazy = (uintptr_t)*entry >= low && (uintptr_t)*entry < high;           /* not bound yet, or its own */
            void *real = lazy ? dlsym(RTLD_DEFAULT, name) : *entry;
            void *other = real == NULL ? NULL : instead_of(name, real, type);
            if (other != NULL && other != *entry) {
                *entry = other;
                replaced++;
            }
        }
    }
    return replaced;
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

static int
is_known(uintptr_t low)
{
    for (int i = 0; i < ftc_module_count; i++) {
        if (ftc_modules[i].low == low) {
            return 1;
        }
    }
    return 0;
}

static void
take_in(const struct dl_phdr_info *info)
{
    relocations all;
    uintptr_t low = UINTPTR_MAX, high = 0, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr;
        end = part->p_type == PT_LOAD && begin + part->p_memsz > end ? begin + part->p_memsz : end;
        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            low = begin < low ? begin : low;
            high = begin + part->p_memsz > high ? begin + part->p_memsz : high;
        }
    }
    if (is_known(low) || !read_relocations(info, &all) || !is_one_of_ours(&all)) {
        return;
    }
    if (ftc_module_count == FTC_MODULES || !make_writable(info)) {
        refused++;
        return;
    }
    if (ftc_module_count == 0) {
        ftc_hook_allocators();                         /* before that, nobody has to pay for it */
    }
    ftc_module *module = &ftc_modules[ftc_module_count];
    *module = (ftc_module){.base = info->dlpi_addr, .low = low, .high = high, .end = end};
    strncpy(module->path, info->dlpi_name, sizeof module->path - 1);
    __atomic_store_n(&ftc_module_count, ftc_module_count + 1, __ATOMIC_RELEASE);
    module->imports = replace_imports(&all, info->dlpi_addr, low, high);
    ftc_close_thunks();
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
    if (info->dlpi_name != NULL && *info->dlpi_name != '\0') {
        found->all[found->count++] = *info;
    }
    return 0;
}

/* The linker's list is copied first: its lock must not be held while symbols are looked up. */
void
ftc_find_modules(void)
{
    loaded found = {0};
    pthread_mutex_lock(&lock);
    dl_iterate_phdr(note, &found);
    for (int i = 0; i < found.count; i++) {
        take_in(&found.all[i]);
    }
    pthread_mutex_unlock(&lock);
    free(found.all);
}
