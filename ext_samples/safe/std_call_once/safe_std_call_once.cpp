/* A table that each object fills when it is first asked, with std::call_once.
 *
 * Right:   the first one fills the table, the others wait until it has, and then see all of it.
 * The GIL: it hid the race of unsafe/std_call_once; here it is not needed.
 */
#include <Python.h>
#include <cmath>
#include <mutex>
#include <new>

namespace {

struct Table {
    double cells[2048] = {};
    std::once_flag filled;

    double
    at(size_t index)
    {
        std::call_once(filled, [this] { fill(); });
        return cells[index];
    }

    void
    fill()
    {
        for (size_t i = 0; i < 2048; i++) {
            cells[i] = std::sqrt(static_cast<double>(i));
        }
    }
};

struct Roots {
    PyObject_HEAD
    Table table;
};

PyObject *
roots_new(PyTypeObject *type, PyObject *, PyObject *)
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != nullptr) {
        new (&reinterpret_cast<Roots *>(op)->table) Table;
    }
    return op;
}

void
roots_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    reinterpret_cast<Roots *>(op)->table.~Table();
    type->tp_free(op);
    Py_DECREF(type);
}

PyObject *
roots_at(PyObject *op, PyObject *arg)
{
    size_t index = PyLong_AsSize_t(arg);
    if (index >= 2048) {
        return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_IndexError, "below 2048");
    }
    return PyFloat_FromDouble(reinterpret_cast<Roots *>(op)->table.at(index));
}

PyMethodDef roots_methods[] = {
    {"at", roots_at, METH_O, "The square root of a small number."},
    {nullptr, nullptr, 0, nullptr}
};

PyType_Slot roots_slots[] = {
    {Py_tp_new, reinterpret_cast<void *>(roots_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(roots_dealloc)},
    {Py_tp_methods, roots_methods},
    {0, nullptr}
};

PyType_Spec roots_spec = {
    .name = "safe_std_call_once.Roots",
    .basicsize = sizeof(Roots),
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = roots_slots,
};

int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &roots_spec, nullptr);
    int failed = type == nullptr || PyModule_AddType(module, reinterpret_cast<PyTypeObject *>(type)) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(module_exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "safe_std_call_once",
    "A table that is filled once.",
    0,
    nullptr,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_safe_std_call_once()
{
    return PyModuleDef_Init(&module_def);
}
