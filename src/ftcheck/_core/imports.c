/* What an extension imports, and what it gets instead.
 *
 * What it calls is looked up in its global offset table: the entries of procedures (JUMP_SLOT), and those of symbols (GLOB_DAT)
 * that are functions, which is what -fno-plt, and taking a function's address, make of them.  Each is replaced by a wrapper or a
 * thunk, and those of __tsan_*, which may be bound to the functions that stand in for ours where ftcheck is not there, by ours.
 * (COPY is for programs, IRELATIVE for what a module has itself, and RELR for its own addresses: none of them is an import.)
 *
 * An entry that is not bound yet (RTLD_LAZY) points into its own module.  Then the function is looked up as the linker would:
 * by name and version, in the global scope, and else in what the module itself has brought (RTLD_LOCAL).
 *
 * A function whose address is only taken keeps it: the interpreter, or the extension, may compare it (taken.c).
 */
#include "native.h"
#include <dlfcn.h>
#include <string.h>

#if defined(__x86_64__)
#  define JUMP_SLOT R_X86_64_JUMP_SLOT
#  define GLOB_DAT R_X86_64_GLOB_DAT
#else
#  define JUMP_SLOT R_AARCH64_JUMP_SLOT
#  define GLOB_DAT R_AARCH64_GLOB_DAT
#endif
#if defined(__aarch64__) && !defined(STO_AARCH64_VARIANT_PCS)
#  define STO_AARCH64_VARIANT_PCS 0x80
#endif
#define VERSION_MASK 0x7fff          /* of an entry of DT_VERSYM: the rest says that it is hidden */

/* --- what a module says of itself --------------------------------------------------------------------------------- */

int
ftc_read_imports(const struct dl_phdr_info *info, ftc_imports *found)
{
    const ElfW(Dyn) *dynamic = NULL;
    *found = (ftc_imports){.path = info->dlpi_name, .base = info->dlpi_addr, .low = UINTPTR_MAX};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr, end = begin + part->p_memsz;
        if (part->p_type == PT_DYNAMIC) {
            dynamic = (const void *)begin;
        }
        if (part->p_type == PT_LOAD) {
            found->end = end > found->end ? end : found->end;
        }
        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            found->low = begin < found->low ? begin : found->low;
            found->high = end > found->high ? end : found->high;
        }
    }
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        switch (dynamic->d_tag) {
            case DT_SYMTAB: found->symbols = (const void *)dynamic->d_un.d_ptr; break;
            case DT_STRTAB: found->names = (const void *)dynamic->d_un.d_ptr; break;
            case DT_JMPREL: found->tables[0] = (const void *)dynamic->d_un.d_ptr; break;
            case DT_PLTRELSZ: found->sizes[0] = dynamic->d_un.d_val / sizeof(ElfW(Rela)); break;
            case DT_RELA: found->tables[1] = (const void *)dynamic->d_un.d_ptr; break;
            case DT_RELASZ: found->sizes[1] = dynamic->d_un.d_val / sizeof(ElfW(Rela)); break;
            case DT_VERSYM: found->versions = (const void *)dynamic->d_un.d_ptr; break;
            case DT_VERNEED: found->needed = (const void *)dynamic->d_un.d_ptr; break;
            case DT_VERNEEDNUM: found->needed_count = dynamic->d_un.d_val; break;
        }
    }
    for (int table = 0; table < 2; table++) {
        found->sizes[table] = found->tables[table] == NULL ? 0 : found->sizes[table];
    }
    /* the kernel's own (vdso) has addresses that nobody has relocated */
    return found->symbols != NULL && found->names != NULL && (uintptr_t)found->names >= info->dlpi_addr;
}

static const ElfW(Sym) *
symbol_of(const ftc_imports *all, const ElfW(Rela) *one)
{
    return &all->symbols[ELF64_R_SYM(one->r_info)];
}

int
ftc_is_import(const ElfW(Rela) *one)
{
    int type = (int)ELF64_R_TYPE(one->r_info);
    return (type == JUMP_SLOT || type == GLOB_DAT) && ELF64_R_SYM(one->r_info) != 0;
}

int
ftc_imports_one(const ftc_imports *all, const char *name, size_t length)
{
    for (int table = 0; table < 2; table++) {
        for (size_t i = 0; i < all->sizes[table]; i++) {
            const ElfW(Rela) *one = &all->tables[table][i];
            if (ftc_is_import(one) && strncmp(all->names + symbol_of(all, one)->st_name, name, length) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

void **
ftc_import_entry(const ftc_imports *all, const char *name)
{
    for (int table = 0; table < 2; table++) {
        for (size_t i = 0; i < all->sizes[table]; i++) {
            const ElfW(Rela) *one = &all->tables[table][i];
            if (ftc_is_import(one) && strcmp(all->names + symbol_of(all, one)->st_name, name) == 0) {
                return (void **)(all->base + one->r_offset);
            }
        }
    }
    return NULL;
}

/* The version of a symbol that a module asks for; NULL: none. */
static const char *
version_of(const ftc_imports *all, size_t symbol)
{
    unsigned wanted = all->versions == NULL ? 0 : all->versions[symbol] & VERSION_MASK;
    const char *at = (const char *)all->needed;
    for (size_t i = 0; wanted > VER_NDX_GLOBAL && at != NULL && i < all->needed_count; i++) {
        const ElfW(Verneed) *library = (const void *)at;
        const char *entry = at + library->vn_aux;
        for (unsigned k = 0; k < library->vn_cnt; k++) {
            const ElfW(Vernaux) *version = (const void *)entry;
            if ((version->vna_other & VERSION_MASK) == wanted) {
                return all->names + version->vna_name;
            }
            entry += version->vna_next;
        }
        at += library->vn_next;
    }
    return NULL;
}

static void *
look_up(const ftc_imports *all, size_t symbol, const char *name)
{
    const char *version = version_of(all, symbol);
    void *found = version != NULL ? dlvsym(RTLD_DEFAULT, name, version) : dlsym(RTLD_DEFAULT, name);
    void *itself = found == NULL ? dlopen(all->path, RTLD_NOLOAD | RTLD_LAZY) : NULL;
    if (itself != NULL) {
        found = version != NULL ? dlvsym(itself, name, version) : dlsym(itself, name);
        dlclose(itself);
    }
    return found;
}

/* Is there code at this address?  Data may have a symbol that does not say what it is. */
static int
is_code(void *address)
{
    Dl_info where;
    ElfW(Sym) *symbol = NULL;
    if (!dladdr1(address, &where, (void **)&symbol, RTLD_DL_SYMENT)) {
        return 0;
    }
    if (symbol != NULL && ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT && symbol->st_value != 0
        && (uintptr_t)where.dli_saddr == (uintptr_t)address) {
        return 0;
    }
    const ElfW(Ehdr) *file = where.dli_fbase;
    const ElfW(Phdr) *parts = (const void *)((const char *)file + file->e_phoff);
    uintptr_t bias = file->e_type == ET_DYN ? (uintptr_t)file : 0;
    for (int i = 0; i < file->e_phnum; i++) {
        if (parts[i].p_type == PT_LOAD && parts[i].p_flags & PF_X && (uintptr_t)address - bias - parts[i].p_vaddr < parts[i].p_memsz) {
            return 1;
        }
    }
    return 0;
}

/* --- what stands in -------------------------------------------------------------------------------------------------- */

static int
is_of_the_compiler(const char *name)
{
    return strncmp(name, "__tsan_", 7) == 0 || strncmp(name, "__x86_indirect_thunk_", 21) == 0
        || strncmp(name, "__sanitizer_cov_", 16) == 0 || strncmp(name, "Annotate", 8) == 0;
}

/* It takes vectors of any width in registers, or preserves more of them, which a thunk does not (thunks.c). */
static int
is_called_otherwise(const ElfW(Sym) *symbol)
{
#if defined(__aarch64__)
    return symbol->st_other & STO_AARCH64_VARIANT_PCS;
#else
    (void)symbol;
    return 0;
#endif
}

static void *
instead_of(const char *name, void *real, int type, int only_taken)
{
    static void *own;
    if (is_of_the_compiler(name)) {
        Dl_info where;
        if (own == NULL) {
            own = dladdr((void *)ftc_find_modules, &where) ? dlopen(where.dli_fname, RTLD_NOLOAD | RTLD_LAZY) : NULL;
        }
        return own == NULL ? NULL : dlsym(own, name);
    }
    if (only_taken) {
        return NULL;
    }
    void *wrapper = ftc_wrapper_for(name, real);
    if (wrapper != NULL) {
        return wrapper;
    }
    if (ftc_orders_nothing(name) || (type == GLOB_DAT && ftc_address_matters(name)) || ftc_is_thunk(real) || !is_code(real)
        || ftc_module_of((uintptr_t)real) >= 0) {
        return NULL;
    }
    return ftc_thunk_for(real);
}

/* Where an entry leads; NULL: nowhere, or only a call will tell. */
static void *
target_of(const ftc_imports *all, const ElfW(Rela) *one, int *unknown)
{
    void **entry = (void **)(all->base + one->r_offset);
    const ElfW(Sym) *symbol = symbol_of(all, one);
    uintptr_t now = (uintptr_t)*entry;
    if (now - all->low >= all->high - all->low) {
        return *entry;
    }
    if (symbol->st_shndx != SHN_UNDEF && now == all->base + symbol->st_value) {
        return *entry;                                 /* its own, and bound */
    }
    void *found = look_up(all, ELF64_R_SYM(one->r_info), all->names + symbol->st_name);
    *unknown += found == NULL && symbol->st_shndx == SHN_UNDEF;
    return found;
}

void
ftc_replace_imports(const ftc_imports *all, ftc_module *module)
{
    ftc_taken known = ftc_what_is_only_taken(all);
    for (int table = 0; table < 2; table++) {
        for (size_t i = 0; i < all->sizes[table]; i++) {
            const ElfW(Rela) *one = &all->tables[table][i];
            if (!ftc_is_import(one)) {
                continue;
            }
            void **entry = (void **)(all->base + one->r_offset);
            const ElfW(Sym) *symbol = symbol_of(all, one);
            int type = (int)ELF64_R_TYPE(one->r_info), only_taken = type == GLOB_DAT && ftc_is_only_taken(&known, (uintptr_t)entry);
            void *real = target_of(all, one, &module->unknown);
            int stays = real == NULL || is_called_otherwise(symbol);
            void *other = stays ? NULL : instead_of(all->names + symbol->st_name, real, type, only_taken);
            if (other != NULL && other != *entry) {
                __atomic_store_n(entry, other, __ATOMIC_RELEASE);
                module->imports++;
            }
        }
    }
    ftc_forget_taken(&known);
}
