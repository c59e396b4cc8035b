"""Each rule for C and C++: what it finds, at the line marked ``here``, and as many neighbours that it leaves alone."""

from pathlib import Path

import pytest

FINDS = {
    "FT001 multi-phase": """
        static PyModuleDef_Slot slots[] = {{Py_mod_exec, run}, {0, NULL}};
        PyMODINIT_FUNC PyInit_a(void) { return PyModuleDef_Init(&def); }  /* here */
        """,
    "FT001 single-phase": "PyMODINIT_FUNC PyInit_a(void) { return PyModule_Create(&def); }  /* here */",
    "FT001 used": """
        static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_USED}, {0, NULL}};
        PyMODINIT_FUNC PyInit_a(void) { return PyModuleDef_Init(&def); }  /* here */
        """,
    "FT002": "PyMODINIT_FUNC PyInit_a(void) { return PyModule_Create(&def); }  /* here */",
    "FT006": "#define Py_LIMITED_API 0x030A0000  /* here */",
    "FT101": "PyObject *f(PyObject *m, PyObject *a) { PyObject *x = PyList_GetItem(a, 0); use(x); }  /* here */",
    "FT101 macro": "PyObject *f(PyObject *m, PyObject *a) { return work(PyList_GET_ITEM(a, 0)); }  /* here */",
    "FT101 field": "PyObject *f(Thing *self, PyObject *a) { use(PyDict_GetItem(self->d, a)); }  /* here */",
    "FT101 no container": 'void f(void) { PyObject *m = PyImport_AddModule("a"); use(m); }  /* here */',
    "FT102": "PyObject *f(PyObject *m, PyObject *a) { return Py_NewRef(PyList_GetItem(a, 0)); }  /* here */",
    "FT102 later": """
        PyObject *f(PyObject *m, PyObject *a) {
            PyObject *x = PyDict_GetItemWithError(a, key);  /* here */
            if (x == NULL) { return NULL; }
            Py_INCREF(x);
        }""",
    "FT103": "PyObject *f(PyObject *m, PyObject *a) { while (PyDict_Next(a, &p, &k, &v)) { } }  /* here */",
    "FT103 static": "static PyObject *d;\nvoid f(void) { while (PyDict_Next(d, &p, &k, &v)) { } }  /* here */",
    "FT104": "void f(Thing *self, PyObject *a) { PyList_SET_ITEM(self->items, 0, a); }  /* here */",
    "FT105 field": "void f(PyObject *m, PyObject *a) { use(((PyListObject *)a)->ob_item[0]); }  /* here */",
    "FT105 count": "void f(PyObject *m, PyObject *a) { if (Py_REFCNT(a) == 1) { change(a); } }  /* here */",
    "FT106": """
        void f(PyObject *m, PyObject *a) {
            PyObject *s = PySequence_Fast(a, "");
            use(PySequence_Fast_GET_ITEM(s, 0));  /* here */
            use(PySequence_Fast_GET_ITEM(s, 1));
        }""",
    "FT107": "void f(PyObject *m, PyObject *a) { char *p = PyByteArray_AS_STRING(a); use(p); }  /* here */",
    "FT108": "void f(Thing *self, PyObject *a) { PyUnicode_InternInPlace(&self->name); }  /* here */",
    "FT201": "void f(int n) { char *p = PyObject_Malloc(n); }  /* here */",
    "FT202": "void f(int n) { char *p = PyMem_Malloc(n); free(p); }  /* here */",
    "FT202 field": "void a(T *t) { t->p = PyMem_Calloc(1, 2); }\nvoid f(T *t) { PyMem_RawFree(t->p); }  /* here */",
    "FT202 detached": "void f(int n) { Py_BEGIN_ALLOW_THREADS p = PyMem_Malloc(n); Py_END_ALLOW_THREADS }  /* here */",
    "FT301": "static long hits;\nvoid f(void) { hits++; }  /* here */",
    "FT301 array": "static long hits[9];\nvoid f(int i) { hits[i] += 2; }  /* here */",
    "FT301 clear": "static PyObject *x;\nvoid f(int i) { Py_CLEAR(x); }  /* here */",
    "FT301 readers' lock": "static int x;\nvoid f(void) { pthread_rwlock_rdlock(&l); x = 1; "
    "pthread_rwlock_unlock(&l); }  /* here */",
    "FT301 suspended": """
        static int x;
        void f(PyObject *o) {
            Py_BEGIN_CRITICAL_SECTION(o);
            Py_BEGIN_ALLOW_THREADS
            x = 1;  /* here */
            Py_END_ALLOW_THREADS
            Py_END_CRITICAL_SECTION();
        }""",
    "FT302": "static PyObject *c;\nPyObject *f(void) {\nif (c == NULL) {  /* here */\nc = make(); } return c; }",
    "FT302 flag": "static int ready;\nvoid set(void) { ready = 1; }\nvoid f(void) { if (!ready) { set(); } }  /* here */",
    "FT302 returns": "static T *c;\nT *f(void) { if (c) { return c; } c = make(); return c; }  /* here */",
    "FT303": 'char *f(int n) { static char b[9]; sprintf(b, "%d", n); return b; }  /* here */',
    "FT303 file": 'static char b[9];\nchar *f(int n) { snprintf(b, 9, "%d", n); return b; }  /* here */',
    "FT304": "static PyObject *c;  /* here */\nint PyInit_x(void) { c = make(); }",
    "FT305": 'static PyTypeObject T = { .tp_name = "x" };  /* here */',
    "FT305 dict": 'void f(PyTypeObject *t) { PyDict_SetItemString(t->tp_dict, "x", y); }  /* here */',
    "FT306": "static T *free_list;\nT *f(void) { T *t = free_list; free_list = t->next; return t; }  /* here */",
    "FT308": """
        static PyObject *next(It *it) { Py_CLEAR(it->seq); return NULL; }  /* here */
        static PyType_Slot slots[] = {{Py_tp_iternext, next}, {0}};
        """,
    "FT309": """
        static PyObject *cache;
        void f(PyObject *m, PyObject *k) {
            if (PyDict_Contains(cache, k) == 0) {
                PyDict_SetItem(cache, k, v);  /* here */
            }
        }""",
    "FT310": """
        static int total;
        void add(int n) { PyMutex_Lock(&m); total += n; PyMutex_Unlock(&m); }
        int get(void) { return total; }  /* here */
        """,
    "FT401": "void f(time_t t) { use(localtime(&t)); }  /* here */",
    "FT402": "void f(int n) { p = fftw_plan_dft_1d(n, in, out, 1, 2); }  /* here */",
    "FT403": "void f(const char *p) { chdir(p); }  /* here */",
    "FT404": "int f(void) { return fork(); }  /* here */",
    "FT501": "/* protected by the GIL */  // here\nstatic int x;",
    "FT502": "void f(PyObject *d) { pthread_mutex_lock(&m); PyDict_SetItem(d, k, v); pthread_mutex_unlock(&m); }  "
    "/* here */",
    "FT502 sleeps": "PyObject *f(PyObject *d) { sleep(1); return PyLong_FromLong(1); }  /* here */",
    "FT503": "int f(PyObject *o) { Py_BEGIN_CRITICAL_SECTION(o); if (x) { return 1; } Py_END_CRITICAL_SECTION(); }  "
    "/* here */",
    "FT503 macro": "int f(PyObject *o) { Py_BEGIN_CRITICAL_SECTION(o); Py_RETURN_NONE; Py_END_CRITICAL_SECTION(); } "
    " /* here */",
    "FT503 goto": "int f(PyObject *o) { Py_BEGIN_CRITICAL_SECTION(o); goto out; Py_END_CRITICAL_SECTION(); out: "
    "return 0; }  /* here */",
    "FT504": "void f(void) { Py_BEGIN_ALLOW_THREADS PyErr_NoMemory(); Py_END_ALLOW_THREADS }  /* here */",
    "FT505": "static PyThreadState *saved;  /* here */",
    "FT506": "PyObject *f(void) { return _PyThread_CurrentFrames(); }  /* here */",
    "FT705": "PYBIND11_MODULE(name, m) { m.def(1); }  // here",
}

LEAVES = {
    "FT001": """
        static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
        PyMODINIT_FUNC PyInit_a(void) { return PyModuleDef_Init(&def); }
        """,
    "FT001 set": "PyMODINIT_FUNC PyInit_a(void) { m = PyModule_Create(&d); PyUnstable_Module_SetGIL(m, "
    "Py_MOD_GIL_NOT_USED); }",
    "FT001 guarded": """
        static PyModuleDef_Slot slots[] = {
        #ifdef Py_GIL_DISABLED
        {Py_mod_gil, Py_MOD_GIL_NOT_USED},
        #endif
        {0, NULL}};
        PyMODINIT_FUNC PyInit_a(void) { return PyModuleDef_Init(&def); }
        """,
    "FT002": "PyMODINIT_FUNC PyInit_a(void) { return PyModuleDef_Init(&def); }",
    "FT006": "#ifndef Py_GIL_DISABLED\n#define Py_LIMITED_API 0x030A0000\n#endif",
    "FT006 later": "#define Py_LIMITED_API 0x030F0000",
    "FT101 fresh": "void f(PyObject *a) { PyObject *l = PySequence_List(a); use(PyList_GetItem(l, 0)); }",
    "FT101 locked": "void f(PyObject *a) { Py_BEGIN_CRITICAL_SECTION(a); use(PyList_GetItem(a, 0)); "
    "Py_END_CRITICAL_SECTION(); }",
    "FT101 kwargs": "PyObject *f(PyObject *s, PyObject *a, PyObject *kwargs) { use(PyDict_GetItem(kwargs, k)); }",
    "FT101 old": "#if PY_VERSION_HEX < 0x030d0000\nvoid f(PyObject *a) { use(PyList_GetItem(a, 0)); }\n#endif",
    "FT101 only asked": "int f(PyObject *a) { if (PyDict_GetItem(a, k) != NULL) { return 1; } return 0; }",
    "FT101 tuple": "void f(PyObject *a) { use(PyTuple_GET_ITEM(a, 0)); }",
    "FT101 import": "int PyInit_a(PyObject *a) { use(PyList_GetItem(a, 0)); }",
    "FT101 callers lock": """
        static void g(PyObject *a) { use(PyList_GetItem(a, 0)); }
        void f(PyObject *a) { Py_BEGIN_CRITICAL_SECTION(a); g(a); Py_END_CRITICAL_SECTION(); }
        """,
    "FT102": "PyObject *f(PyObject *a) { return PyList_GetItemRef(a, 0); }",
    "FT102 own": "PyObject *f(PyObject *a) { PyObject *l = PyList_New(1); return Py_NewRef(PyList_GetItem(l, 0)); }",
    "FT103 copy": "void f(PyObject *a) { PyObject *d = PyDict_Copy(a); while (PyDict_Next(d, &p, &k, &v)) { } }",
    "FT103 kwargs": "PyObject *f(PyObject *s, PyObject *a, PyObject *kw) { while (PyDict_Next(kw, &p, &k, &v)) { } }",
    "FT103 comment": '/* PyDict_Next(a, ...) */ void f(PyObject *a) { say("PyDict_Next(a)"); }',
    "FT104": "PyObject *f(PyObject *a) { PyObject *l = PyList_New(1); PyList_SET_ITEM(l, 0, a); return l; }",
    "FT104 field": "PyObject *f(T *t, PyObject *a) { t->l = PyTuple_New(1); PyTuple_SET_ITEM(t->l, 0, a); }",
    "FT105 own": "typedef struct { PyObject_HEAD char *ob_item; } T;\nvoid f(T *t) { use(t->ob_item); }",
    "FT105 assert": "void f(PyObject *a) { assert(Py_REFCNT(a) == 1); }",
    "FT106": "void f(PyObject *a) { PyObject *s = PySequence_Tuple(a); use(PySequence_Fast_GET_ITEM(s, 0)); }",
    "FT107": "void f(PyObject *a) { char *p = PyBytes_AsString(a); }",
    "FT108": 'void f(T *t) { PyObject *n = PyUnicode_FromString("x"); PyUnicode_InternInPlace(&n); }',
    "FT201 object": "T *f(void) { PyObject *p = (PyObject *)PyObject_Malloc(9); return p; }",
    "FT201 init": "T *f(void) { T *p = PyObject_Malloc(9); if (PyObject_Init(p, &type) == NULL) { } }",
    "FT202": "void f(int n) { char *p = PyMem_Malloc(n); PyMem_Free(p); char *q = malloc(n); free(q); }",
    "FT202 raw": "void f(int n) { Py_BEGIN_ALLOW_THREADS p = PyMem_RawMalloc(n); Py_END_ALLOW_THREADS }",
    "FT301 locked": "static int x;\nvoid f(void) { PyMutex_Lock(&m); x = 1; PyMutex_Unlock(&m); }",
    "FT301 atomic": "static _Atomic int x;\nvoid f(void) { x++; }",
    "FT301 local": "static int x;\nvoid f(void) { int x; x = 1; }",
    "FT301 parameter": "static int x;\nvoid f(int x) { x = 1; }",
    "FT301 field": "static int x;\nvoid f(T *t) { t->x = 1; }",
    "FT301 import": "static int x;\nstatic void set(void) { x = 1; }\nint PyInit_a(void) { set(); }",
    "FT301 thread-local": "static _Thread_local int x;\nvoid f(void) { x = 1; }",
    "FT301 by address": "static long x;\nvoid f(void) { _Py_atomic_add_int64(&x, 1); }",
    "FT301 freed": "static int x;\nvoid clear(void *m) { x = 0; }\nPyModuleDef d = { .m_free = clear };",
    "FT302 locked": "static T *c;\nT *f(void) { PyMutex_Lock(&m); if (!c) { c = make(); } PyMutex_Unlock(&m); return 0; }",
    "FT302 replaced": "static T *c;\nvoid f(T *x) { if (c) { Py_DECREF(c); } c = x; }",
    "FT302 refuses": "static T *c;\nT *f(void) { if (!c) { return NULL; } return c; }",
    "FT302 once": "static T *c;\nstatic void set(void) { c = make(); }\nT *f(void) { pthread_once(&o, set); return c; }",
    "FT303": 'void f(int n) { char b[9]; sprintf(b, "%d", n); }',
    "FT303 const": 'const char *f(void) { static const char b[] = "x"; return b; }',
    "FT304": "static PyObject *never_set;",
    "FT305": "static PyTypeObject *type;",
    "FT306": "static T *free_list;\nvoid f(void) { PyMutex_Lock(&m); free_list = 0; PyMutex_Unlock(&m); }",
    "FT308 locked": """
        static PyObject *next(It *it) { Py_BEGIN_CRITICAL_SECTION(it); Py_CLEAR(it->seq); Py_END_CRITICAL_SECTION(); }
        static PyType_Slot slots[] = {{Py_tp_iternext, next}, {0}};
        """,
    "FT308 other": "static PyObject *go(It *it) { Py_CLEAR(it->seq); return NULL; }",
    "FT309 fresh": "void f(PyObject *k) { PyObject *d = PyDict_New(); if (!PyDict_Contains(d, k)) { "
    "PyDict_SetItem(d, k, v); } }",
    "FT309 other key": "void f(PyObject *d) { if (!PyDict_Contains(d, a)) { PyDict_SetItem(d, b, v); } }",
    "FT310 locked": """
        static int total;
        void add(int n) { PyMutex_Lock(&m); total += n; PyMutex_Unlock(&m); }
        int get(void) { PyMutex_Lock(&m); int n = total; PyMutex_Unlock(&m); return n; }
        """,
    "FT310 size": """
        static int total[9];
        void add(int n) { PyMutex_Lock(&m); total[0] += n; PyMutex_Unlock(&m); }
        int most(void) { return INT_MAX / sizeof(total[0]) + sizeof total; }
        """,
    "FT310 never written": "static int total;\nint get(void) { return total; }",
    "FT401 own": "static int rand(void) { return 4; }\nint f(void) { return rand(); }",
    "FT401 member": "int f(T *t) { return t->rand(); }",
    "FT401 import": 'int PyInit_x(void) { use(getenv("X")); }',
    "FT401 asks": "void f(void) { use(setlocale(LC_ALL, NULL)); }",
    "FT402": "void f(void) { fftw_execute(p); }",
    "FT402 locked": "void f(void) { PyMutex_Lock(&m); fftw_destroy_plan(p); PyMutex_Unlock(&m); }",
    "FT403": "void f(T *t) { t->chdir(1); }",
    "FT404": "int fork_count; int f(void) { return fork_count; }",
    "FT501": "/* the GIL is released around this */\nstatic int x;",
    "FT501 other build": "#ifdef Py_GIL_DISABLED\n#else\n/* protected by the GIL */\nint x;\n#endif",
    "FT502": "void f(PyObject *d) { PyMutex_Lock(&m); PyDict_SetItem(d, k, v); PyMutex_Unlock(&m); }",
    "FT502 no api": "void f(void) { pthread_mutex_lock(&m); x++; pthread_mutex_unlock(&m); }",
    "FT502 detached": "PyObject *f(void) { Py_BEGIN_ALLOW_THREADS sleep(1); Py_END_ALLOW_THREADS return "
    "PyLong_FromLong(1); }",
    "FT503": "int f(PyObject *o) { Py_BEGIN_CRITICAL_SECTION(o); x = 1; Py_END_CRITICAL_SECTION(); return x; }",
    "FT503 goto": "int f(PyObject *o) { Py_BEGIN_CRITICAL_SECTION(o); goto out; out: x(); "
    "Py_END_CRITICAL_SECTION(); return 0; }",
    "FT503 two": "void f(void) { Py_BEGIN_CRITICAL_SECTION2(a, b); x(); Py_END_CRITICAL_SECTION2(); }",
    "FT504": "void f(void) { Py_BEGIN_ALLOW_THREADS work(); Py_END_ALLOW_THREADS PyErr_NoMemory(); }",
    "FT504 blocked": "void f(void) { Py_BEGIN_ALLOW_THREADS Py_BLOCK_THREADS PyErr_NoMemory(); Py_UNBLOCK_THREADS "
    "Py_END_ALLOW_THREADS }",
    "FT504 macro": "void f(PyObject *b) { Py_BEGIN_ALLOW_THREADS use(PyBytes_AS_STRING(b)); Py_END_ALLOW_THREADS }",
    "FT505": "void f(void) { PyThreadState *saved = PyEval_SaveThread(); }",
    "FT506": "PyObject *f(void) { return PyThreadState_GetFrame(own); }",
    "FT705": "PYBIND11_MODULE(name, m, py::mod_gil_not_used()) { m.def(1); }",
}


def name_of(case):
    return "module.cpp" if case.startswith("FT705") else "module.c"


@pytest.mark.parametrize("case", FINDS)
def test_finds(lines, case):
    found, marked = lines(case.split()[0], FINDS[case], name_of(case))
    assert marked
    assert found == marked


@pytest.mark.parametrize("case", LEAVES)
def test_leaves_alone(lines, case):
    found, _ = lines(case.split()[0], LEAVES[case], name_of(case))
    assert found == []


def test_a_nested_section_is_a_note(scanned):
    text = """
        void f(void) {
            Py_BEGIN_CRITICAL_SECTION(a);
            Py_BEGIN_CRITICAL_SECTION(b);
            x();
            Py_END_CRITICAL_SECTION();
            Py_END_CRITICAL_SECTION();
        }"""
    assert [(one.rule, one.tier, one.line) for one in scanned(text).findings] == [("FT503", "C", 4)]


def test_what_depends_on_a_constant_is_a_note(scanned):
    text = "#define MAY_BE_NULL 0\nstatic T c;\nvoid f(void) {\n if (MAY_BE_NULL && c.go == NULL) { c.go = x; }\n}"
    assert [(one.rule, one.tier, one.line) for one in scanned(text).findings] == [("FT302", "C", 4)]


def test_names_of_other_files_count(scanned):
    files = {
        "a.c": "static void set(void);\nint total;\nvoid shared_set(void) { total = 1; }",
        "b.c": "void shared_set(void);\nint PyInit_b(void) { shared_set(); }",
    }
    assert [one.rule for one in scanned(files=files).findings if one.rule == "FT301"] == []
    files["b.c"] += "\nvoid f(void) { shared_set(); }"
    assert [one.line for one in scanned(files=files).findings if one.rule == "FT301"] == [3]


def test_a_function_that_each_branch_of_a_condition_defines_is_one(scanned):
    """As in Pillow: the slot of one file names a function that another file has once for Windows and once for all else."""
    loader = "static int total;\nstatic int set(void) { total = 1; return 0; }\n#ifdef A\nint load(void) { return 0; }\n"
    loader += "#else\nint load(void) { return set(); }\n#endif\n"
    slots = "extern int load(void);\nstatic PyModuleDef_Slot slots[] = {{Py_mod_exec, load}, {0, NULL}};"
    assert [one.rule for one in scanned(files={"a.c": loader, "b.c": slots}).findings if one.rule == "FT301"] == []
    calls = "int load(void);\nvoid f(void) { load(); }"
    found = [one for one in scanned(files={"a.c": loader, "b.c": calls}).findings if one.rule == "FT301"]
    assert [(Path(one.path).name, one.line) for one in found] == [("a.c", 2)]
