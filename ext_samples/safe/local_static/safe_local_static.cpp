/* A table that is made when it is first asked for: a static variable of a function.
 *
 * Right:   C++ makes such a variable once. A thread that comes while another one makes it waits.
 * The GIL: it hid the race of unsafe/local_static; here it is not needed.
 */
#include <Python.h>
#include <array>
#include <utility>

namespace {

constexpr int SIZES = 256;

struct Table {
    std::array<double, 1000> cells;

    explicit Table(int size)
    {
        for (double &cell : cells) {
            cell = size / (1.0 + static_cast<double>(&cell - cells.data()));
        }
    }
};

template <int size>
const Table *
table_of()
{
    static const Table table{size};
    return &table;
}

template <int... sizes>
const Table *
table_of_any(int size, std::integer_sequence<int, sizes...>)
{
    static const Table *(*const all[])() = {table_of<sizes>...};
    return all[size]();
}

PyObject *
get(PyObject *, PyObject *arg)
{
    int size = PyLong_AsInt(arg);
    if (size < 0 || size >= SIZES) {
        return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_ValueError, "from 0 to %d", SIZES - 1);
    }
    return PyLong_FromVoidPtr(const_cast<Table *>(table_of_any(size, std::make_integer_sequence<int, SIZES>{})));
}

int
module_exec(PyObject *module)
{
    return PyModule_AddIntConstant(module, "SIZES", SIZES);
}

PyMethodDef methods[] = {
    {"get", get, METH_O, "The address of the only table of this size."},
    {nullptr, nullptr, 0, nullptr}
};

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(module_exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "safe_local_static",
    "A table that is made once.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_safe_local_static()
{
    return PyModuleDef_Init(&module_def);
}
